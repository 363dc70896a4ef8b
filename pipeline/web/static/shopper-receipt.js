// SPDX-License-Identifier: AGPL-3.0-or-later
// Printing, a payment that is under way, and fields of a report that only some answers need.
(() => {
  // The receipt comes before its payment: look again until that is known.
  let looks = 0;
  const look = async () => {
    if (!document.querySelector("[data-waiting]") || ++looks > 20) return;
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of [".head-sum", "[data-sums]"]) {
        const found = fresh.querySelector(part);
        if (found) document.querySelector(part).replaceWith(document.adoptNode(found));
      }
    } catch { /* tried again */ }
    setTimeout(look, 1500);
  };
  setTimeout(look, 1000);

  const print = document.querySelector("[data-print]");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", () => window.print());
  }
  const form = document.querySelector(".wrong-form");
  if (!form) return;
  const update = () => {
    const kind = form.querySelector("input[name=kind]:checked")?.value || "";
    for (const field of form.querySelectorAll("[data-for]")) {
      field.hidden = !field.dataset.for.split(" ").includes(kind);
    }
  };
  form.addEventListener("change", update);
  update();
})();
