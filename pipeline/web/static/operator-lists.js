// SPDX-License-Identifier: AGPL-3.0-or-later
// The floor in words: the table of people and the lists beside the plan.

import { hueOf } from "./operator-plan.js";

const element = (name, { text, ...more } = {}, ...children) => {
  const made = Object.assign(document.createElement(name), more);
  if (text !== undefined) made.textContent = text;
  made.append(...children.filter(Boolean));
  return made;
};

const badge = (text, kind = "") => element("span", { className: `badge ${kind}`, text });

export const tag = (label, alarm = false) => {
  const made = element("span", { className: "tag", text: label });
  made.dataset.hue = alarm ? "alarm" : hueOf(label);
  return made;
};

export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

export class Lists {
  // data: texts, locale, timezone. told: choose(visit_id), handled(item_id), filled(low).
  constructor(data, told) {
    this.texts = data.texts;
    this.told = told;
    const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: data.timezone };
    this.clock = new Intl.DateTimeFormat(data.locale, clock);
    this.day = new Intl.DateTimeFormat(data.locale, { dateStyle: "medium", timeZone: data.timezone });
    this.get = (id) => document.getElementById(id);
  }

  time(ms) {
    return this.clock.format(ms);
  }

  state(state) {
    this.now = state;
    this.alerts(state.visits.filter((v) => v.without_pass));
    this.gates(state.gates);
    this.cameras(state.cameras);
    this.items(state.items);
    this.low(state.low);
    this.events(state.events);
    this.receipts(state.receipts);
  }

  // Events that wait for an event log that is away; whether bills wait, for it or for the database.
  waiting(count, bills) {
    let note = document.querySelector("[data-waiting]");
    if (!count && !bills) { note?.remove(); return; }
    if (!note) {
      note = element("p", { className: "notice warn" });
      note.dataset.waiting = "";
      note.setAttribute("role", "status");
      this.get("alerts").before(note);
    }
    const said = count ? fill(this.texts.waiting, { count }) : this.texts.bills_wait;
    if (note.textContent !== said) note.textContent = said;
  }

  alerts(visits) {
    const known = new Set(visits.map((v) => v.visit_id));
    const box = this.get("alerts");
    for (const old of [...box.children]) if (!known.has(old.dataset.visit)) old.remove();
    for (const visit of visits) {
      if ([...box.children].some((one) => one.dataset.visit === visit.visit_id)) continue;
      const where = [fill(this.texts.at_gate, { gate: visit.gate_id })];
      if (visit.behind) where.push(fill(this.texts.behind, { label: visit.behind }));
      const made = element("p", { className: "notice bad" },
        element("span", { text: this.texts.alert }), tag(visit.label, true),
        element("span", { text: `${where.join(", ")}, ${this.time(visit.since_ms)}` }));
      made.dataset.visit = visit.visit_id;
      box.append(made);
    }
  }

  // people: [track, x, y, visit]; near(xy): a gondola or nothing.
  people(people, visits, at, near, chosen) {
    const rows = [];
    const seen = new Set();
    for (const visit of visits.values()) {
      const mine = people.filter((p) => p[3] === visit.visit_id);
      mine.forEach((p) => seen.add(p[0]));
      rows.push([visit, mine]);
    }
    for (const person of people) if (!seen.has(person[0])) rows.push([null, [person]]);
    const body = this.get("visits").tBodies[0];
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach(([visit, mine], i) => {
      const row = body.rows[i] || this.row(body);
      const [who, where, since] = row.cells;
      const key = visit ? visit.visit_id : mine[0][0];
      if (row.dataset.key !== key) {
        row.dataset.key = key;
        who.replaceChildren();
        if (visit) {
          const button = element("button", { type: "button" }, tag(visit.label, visit.without_pass));
          button.setAttribute("aria-expanded", "false");
          button.addEventListener("click", () => this.told.choose(visit.visit_id, true));
          button.addEventListener("focus", () => this.told.choose(visit.visit_id, false));
          who.append(button);
          if (visit.without_pass) who.append(" ", badge(this.texts.no_pass, "bad"));
          if (visit.party_size > 1) who.append(" ", badge(fill(this.texts.party, { count: visit.party_size })));
        } else who.append(element("span", { className: "quiet", text: this.texts.no_visit }));
      }
      const places = mine.map((p) => { const at = near([p[1], p[2]]); return at ? fill(this.texts.near, { place: at }) : this.texts.in_aisle; });
      where.textContent = [...new Set(places)].join(", ") || this.texts.unseen;
      since.textContent = visit ? this.age(at - visit.since_ms) : "";
      row.classList.toggle("chosen", Boolean(visit) && visit.visit_id === chosen);
      row.querySelector("button")?.setAttribute("aria-expanded", String(Boolean(visit) && visit.visit_id === chosen));
    });
    this.get("nobody").hidden = rows.length > 0;
    this.get("visits").hidden = rows.length === 0;
  }

  row(body) {
    const row = body.insertRow();
    row.append(element("td"), element("td"), element("td", { className: "number" }));
    return row;
  }

  age(ms) {
    const seconds = Math.max(Math.round(ms / 1000), 0);
    if (seconds < 100) return fill(this.texts.seconds, { count: seconds });
    return fill(this.texts.minutes, { count: Math.round(seconds / 60) });
  }

  cart(cart) {
    const box = this.get("cart");
    if (!cart) return box.replaceChildren();
    box.replaceChildren(element("h3", {}, fill(this.texts.cart_of, { label: cart.label })), this.cartLines(cart));
  }

  cartLines(cart) {
    if (!cart.lines.length) return element("p", { className: "quiet", text: this.texts.empty_cart });
    const lines = cart.lines.map((line) => element("li", {},
      element("span", { text: `${line.quantity > 1 ? `${line.quantity} × ` : ""}${line.name}` }),
      element("span", { className: "number", text: line.state ? `${line.total} · ${line.state}` : line.total })));
    const total = cart.checking ? `${cart.total} + ${fill(this.texts.checking, { amount: cart.checking })}` : cart.total;
    lines.push(element("li", {}, element("b", { text: this.texts.total }), element("b", { className: "number", text: total })));
    return element("ul", {}, ...lines);
  }

  gates(gates) {
    this.get("gates").replaceChildren(...gates.map((gate) => {
      const refused = gate.refusals.length;
      const state = refused ? badge(fill(this.texts.gate_refused, { count: refused }), "warn") : badge(this.texts.gate_ready, "good");
      const counts = `${fill(this.texts.entries, { count: gate.entries })} · ${fill(this.texts.exits, { count: gate.exits })}`;
      const last = gate.last_ms ? fill(this.texts.last, { time: this.time(gate.last_ms) }) : "";
      const more = refused && element("ul", {}, ...gate.refusals.map((r) => element("li", { text: `${this.time(r.at_ms)} ${r.reason}` })));
      return element("div", { className: "gate" },
        element("div", { className: "row between" }, element("b", { text: gate.gate_id }), state),
        element("div", { className: "row between quiet" }, element("span", { text: counts }), element("span", { text: last })), more);
    }));
  }

  cameras(cameras) {
    const kinds = { live: "good", stalled: "warn", broken: "bad" };
    for (const camera of cameras) {
      const figure = document.querySelector(`[data-camera="${CSS.escape(camera.camera_id)}"]`);
      if (!figure) continue;
      const state = figure.querySelector("[data-state]");
      state.className = `badge ${kinds[camera.state] || ""}`;
      state.textContent = camera.state_text;
      figure.querySelector("[data-reason]").textContent = camera.state === "ended" ? "" : camera.reason;
    }
  }

  items(items) {
    this.list("items", items, (item) => {
      const what = `${item.units > 1 ? `${item.units} × ` : ""}${item.product}`;
      const where = [item.kind_text, item.place, item.who].filter(Boolean).join(" · ");
      return element("li", {}, element("div", { className: "what" }, element("b", { text: what }), element("p", { className: "hint", text: where })),
        this.button(this.texts.done, `${this.texts.done}: ${what}`, () => this.told.handled(item)));
    });
  }

  low(low) {
    this.list("low", low, (level) => {
      const said = fill(this.texts.left, level);
      const meter = element("meter", { min: 0, max: level.capacity, value: level.units, title: said });
      meter.setAttribute("aria-label", `${level.product}: ${said}`);
      const where = level.slots.slice(0, 4).join(", ") + (level.slots.length > 4 ? " …" : "");
      return element("li", {}, element("div", { className: "what" }, element("b", { text: level.product }), meter, element("p", { className: "hint", text: `${said} · ${where}` })),
        this.button(this.texts.filled, `${this.texts.filled}: ${level.product}`, () => this.told.filled(level)));
    });
  }

  events(events) {
    this.list("events", events, (event) => {
      const what = element("span", { className: `what ${event.kind === "person-without-pass" ? "alarm" : ""}`, text: event.text });
      if (event.sure) what.append(" ", badge(fill(this.texts.sure, { percent: event.sure }), "warn"));
      return element("li", {}, element("time", { text: this.time(event.at_ms) }), event.who ? tag(event.who, event.kind === "person-without-pass") : element("span"), what);
    });
  }

  receipts(receipts) {
    const kinds = { paid: "good", open: "warn", blocked: "bad", refused: "bad" };
    this.list("receipts", receipts, (receipt) => {
      const what = element("span", { className: "what row" }, element("span", { text: fill(this.texts.units, { count: receipt.units }) }));
      if (receipt.held) what.append(badge(this.texts.held, "warn"));
      if (receipt.nobody) what.append(badge(this.texts.no_payer, "bad"));
      if (receipt.version > 1) what.append(badge(this.texts.corrected, "info"));
      if (receipt.payment) what.append(badge(receipt.payment_text, kinds[receipt.payment]));
      return element("li", {}, element("time", { text: this.time(receipt.at_ms) }), tag(receipt.label, receipt.nobody), what, element("b", { className: "number", text: receipt.total }));
    });
  }

  // Drawn anew only when something is different: a list that is read or used must not jump.
  list(id, things, draw) {
    const box = this.get(id);
    const said = JSON.stringify(things);
    if (box.dataset.said === said) return;
    box.dataset.said = said;
    box.replaceChildren(...things.map(draw));
    document.querySelector(`[data-empty="${id}"]`).hidden = things.length > 0;
  }

  button(text, name, then) {
    const made = element("button", { type: "button", className: "button small", text });
    made.setAttribute("aria-label", name);
    made.addEventListener("click", () => { made.disabled = true; then().catch(() => { made.disabled = false; }); });
    return made;
  }
}
