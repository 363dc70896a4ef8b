// SPDX-License-Identifier: AGPL-3.0-or-later
// The pass renews itself before it expires, keeps the screen awake, and makes way for the cart when the gate opened.
(() => {
  const card = document.querySelector("[data-pass]");
  if (!card) return;
  const ring = card.querySelector("[data-ring]");
  const state = card.querySelector("[data-state]");
  const code = card.querySelector("[data-qr]");
  const dialog = document.getElementById("large-pass");
  const large = dialog.querySelector("[data-qr-large]");
  const calm = state.textContent;
  const inside = card.dataset.inside === "1";
  const renewMs = Number(card.dataset.renew) * 1000;
  const lifetimeMs = Number(card.dataset.lifetime) * 1000;
  let admits = Number(card.dataset.admits);
  let since = Date.now();
  let asking = false;
  let retryAt = 0;

  const show = (made) => {
    // An SVG as a picture: nothing in it can run, and a strict policy lets it through.
    code.replaceChildren(new DOMParser().parseFromString(made.svg, "image/svg+xml").documentElement);
    large.replaceChildren(code.firstElementChild.cloneNode(true));
    card.dataset.shown = made.token.slice(-12);
    since = Date.now();
    card.classList.remove("stale");
    state.textContent = calm;
  };

  const renew = async () => {
    if (asking) return;
    asking = true;
    try {
      show(await window.walkout.send("/api/v1/shop/passes", { admits }));
    } catch {
      retryAt = Date.now() + 2000;
      if (Date.now() - since > lifetimeMs) {
        card.classList.add("stale");
        state.textContent = card.dataset.failed;
      }
    }
    asking = false;
  };

  const tick = () => {
    const age = Date.now() - since;
    ring.setAttribute("stroke-dashoffset", String(Math.min(100, (100 * age) / renewMs)));
    ring.style.strokeDashoffset = String(Math.min(100, (100 * age) / renewMs));
    if (document.visibilityState === "visible" && age >= renewMs && Date.now() >= retryAt) renew();
  };
  setInterval(tick, 250);

  // --- how many people ---
  for (const choice of document.querySelectorAll("[data-people]")) {
    choice.addEventListener("click", (event) => {
      event.preventDefault();
      admits = Number(choice.dataset.people);
      for (const other of document.querySelectorAll("[data-people]")) other.removeAttribute("aria-current");
      choice.setAttribute("aria-current", "true");
      history.replaceState(null, "", choice.href);
      renew();
    });
  }

  // --- large and bright: the whole screen white ---
  card.querySelector("[data-large]").addEventListener("click", () => {
    large.replaceChildren(code.firstElementChild.cloneNode(true));
    dialog.showModal();
  });
  dialog.addEventListener("click", () => dialog.close());

  // --- the screen stays on while the pass is looked at ---
  let lock = null;
  const awake = async () => {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    try { lock = await navigator.wakeLock.request("screen"); } catch { lock = null; }
  };
  awake();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") { awake(); tick(); }
  });
  addEventListener("pagehide", () => lock?.release());

  // --- the gate opened ---
  if (!inside) {
    const stream = new EventSource(card.dataset.events);
    stream.addEventListener("cart", (event) => {
      if (JSON.parse(event.data) === null) return;
      stream.close();
      card.classList.add("entered");
      state.textContent = card.dataset.entered;
      setTimeout(() => location.assign("/shop/cart"), 900);
    });
    addEventListener("pagehide", () => stream.close());
  }
})();
