// SPDX-License-Identifier: AGPL-3.0-or-later
// The floor page: the stream, the plan, the lists, the time line and the cameras' pictures, put together.

import { Lists, fill } from "./operator-lists.js";
import { Plan } from "./operator-plan.js";
import { Player } from "./operator-player.js";
import { Stills } from "./operator-stills.js";
import { TimeLine } from "./operator-timeline.js";

const data = JSON.parse(document.getElementById("floor-data").textContent);
const { texts } = data;
const get = (id) => document.getElementById(id);
const plan = new Plan(get("plan"), data.plan, texts);
let chosen = null, state = null, frame = { t: 0, p: [] }, talliedAt = 0, cartSaid = "";

const lists = new Lists(data, {
  choose: (visit, toggle) => choose(toggle && visit === chosen ? null : visit),
  handled: (item) => noted(`/api/v1/floor/items/${encodeURIComponent(item.item_id)}/handled`, undefined, texts.done_said),
  filled: async (level) => {
    for (const slot of level.slots) {
      await walkout.send(`/api/v1/floor/slots/${encodeURIComponent(slot)}/count`, { units: 10000, at_ms: data.live ? null : Math.round(frame.t) });
    }
    walkout.toast(texts.filled_said);
    await again();
  },
});

const player = new Player(data.live, {
  link: (said) => link(said),
  trail: (frames) => plan.trail(frames),
  frame: (came) => {
    frame = came;
    plan.frame(came);
    line?.show(came.t);
    stills.show(came.t, player.playing && (data.live || player.speed === 1));
    tally();
    lists.waiting(came.w || 0, came.b);
    if (came.t < Date.now() - 15000 && data.live) link("quiet");
  },
  state: (came) => {
    state = came;
    plan.visits = new Map(came.visits.map((v) => [v.visit_id, v]));
    plan.items = came.items;
    plan.levels = came.levels;
    plan.lowSlots = new Set(came.low.flatMap((level) => level.slots.map((slot) => gondolaOf(slot))));
    plan.cameras = Object.fromEntries(came.cameras.map((c) => [c.camera_id, c.state]));
    plan.draw();
    lists.state(came);
    if (chosen && !plan.visits.has(chosen)) choose(null);
    else if (chosen) showCart();
    tally(true);
  },
  end: (at) => {
    line?.ended(at);
    link("over");
    stills.show(at, false, true);
  },
});
const stills = new Stills(get("cameras"), data.live);
const line = data.live ? null : new TimeLine(player, lists, texts, link, (at) => stills.show(at, false, true));

function gondolaOf(slot) {
  const found = data.plan.gondolas.filter((g) => slot.startsWith(g.id));
  return found.sort((a, b) => b.id.length - a.id.length)[0]?.id;
}

function link(said) {
  const badge = get("link");
  const kinds = { connected: "good", lost: "bad", quiet: "warn" };
  badge.className = `badge ${kinds[said] || ""}`;
  if (badge.textContent !== texts[said]) badge.textContent = texts[said];
}

// The table follows once a second: ten times would be read by nobody.
function tally(now = false) {
  if (!now && Math.abs(performance.now() - talliedAt) < 900) return;
  talliedAt = performance.now();
  get("now").textContent = frame.t ? lists.time(frame.t) : "–";
  get("now").title = frame.t ? lists.day.format(frame.t) : "";
  get("inside").textContent = plan.visits.size;
  get("people").textContent = frame.p.length;
  lists.people(frame.p, plan.visits, frame.t, (xy) => plan.nearest(xy), chosen);
}

async function noted(url, body, said) {
  try {
    await walkout.send(url, body);
    walkout.toast(said);
    await again();
  } catch (error) {
    walkout.toast(fill(texts.failed, { why: error.message }), "bad");
    throw error;
  }
}

// What was noted shows at once, also while a recording stands still.
async function again() {
  const answer = await fetch(`/api/v1/floor/state?at_ms=${Math.round(frame.t)}`);
  if (answer.ok) {
    state = await answer.json();
    lists.state(state);
  }
}

function choose(visit) {
  chosen = visit;
  plan.chosen = visit;
  plan.draw();
  tally(true);
  if (visit) showCart();
  else { cartSaid = ""; lists.cart(null); }
}

const fetchCart = async (visit) => {
  const answer = await fetch(`/api/v1/floor/visits/${encodeURIComponent(visit)}/cart?at_ms=${Math.round(frame.t)}`);
  return answer.ok ? answer.json() : null;
};

async function showCart() {
  const visit = chosen;
  const cart = await fetchCart(visit);
  const said = JSON.stringify(cart);
  if (visit !== chosen || said === cartSaid) return;
  cartSaid = said;
  lists.cart(cart);
}

// --- hovering over the plan ---

const tip = get("tip");
let hovered = null;

get("plan").addEventListener("pointermove", async (event) => {
  const person = plan.hit(event.offsetX, event.offsetY);
  get("plan").style.cursor = person ? "pointer" : "";
  if (!person) { hovered = null; tip.hidden = true; return; }
  place(event);
  if (hovered === person.track) return;
  hovered = person.track;
  const visit = plan.visits.get(person.visit);
  const head = document.createElement("h3");
  head.textContent = visit ? visit.label : texts.no_visit;
  tip.replaceChildren(head);
  tip.hidden = false;
  if (!visit) return;
  const cart = await fetchCart(person.visit);
  if (cart && hovered === person.track) tip.append(lists.cartLines(cart));
  place(event);
});
get("plan").addEventListener("pointerleave", () => { hovered = null; tip.hidden = true; });
get("plan").addEventListener("click", (event) => {
  const person = plan.hit(event.offsetX, event.offsetY);
  choose(person?.visit && person.visit !== chosen ? person.visit : null);
});

function place(event) {
  const wide = get("plan").clientWidth;
  tip.style.left = `${Math.min(event.offsetX + 16, Math.max(wide - tip.offsetWidth - 4, 0))}px`;
  tip.style.top = `${event.offsetY + 18}px`;
}

addEventListener("pagehide", () => player.stop());
addEventListener("pageshow", (event) => { if (event.persisted) player.play(); });
if (data.live) player.play();
else line.begin();
