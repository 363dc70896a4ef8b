// SPDX-License-Identifier: AGPL-3.0-or-later
// The queue: kept up to date without moving what one is looking at, and walked through by keyboard.

const EVERY_MS = 5000;
const list = document.querySelector("[data-queue]");

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { "X-Part": "queue" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-queue]");
  if (!fresh || fresh.outerHTML === list.dataset.was) return;
  const focused = document.activeElement?.closest("[data-row]")?.dataset.row;
  list.replaceChildren(...fresh.childNodes);
  list.dataset.was = "";
  if (focused) row(focused)?.querySelector("a").focus({ preventScroll: true });
}

const row = (id) => list.querySelector(`[data-row="${CSS.escape(id)}"]`);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const by = { j: 1, k: -1 }[event.key];
  if (!by) return;
  const links = [...list.querySelectorAll("[data-row] a")];
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
  event.preventDefault();
});

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
