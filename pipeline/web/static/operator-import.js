// SPDX-License-Identifier: AGPL-3.0-or-later
// Sends a chosen CSV file and goes to the page that shows what it would change. Too large a file is not sent at all.

import { fill } from "./operator-lists.js";

const csrf = document.querySelector('meta[name="csrf-token"]').content;

for (const form of document.querySelectorAll("[data-import]")) {
  const input = form.querySelector('input[type="file"]');
  const button = form.querySelector("button");
  const problem = form.querySelector("[data-problem]");

  const say = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };

  const send = async (file) => {
    const most = Number(form.dataset.most);
    if (file.size > most) {
      say(fill(form.dataset.tooLarge, { size: Math.ceil(file.size / 1e6), most: most / 1e6 }));
      return;
    }
    say("");
    button.disabled = true;
    const query = new URLSearchParams({ name: file.name, remove_missing: form.elements.remove_missing.checked });
    try {
      const answer = await fetch(`/api/v1/floor/imports/${form.dataset.import}?${query}`, {
        method: "POST", body: file, headers: { "X-CSRF-Token": csrf, "Content-Type": "text/csv", Accept: "application/json" },
      });
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.error || answer.statusText);
      location.assign(said.page);
    } catch (error) {
      say(fill(form.dataset.failed, { why: error.message }));
      button.disabled = false;
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (input.files[0]) send(input.files[0]);
  });
  input.addEventListener("change", () => say(""));
  for (const name of ["dragover", "dragleave", "drop"]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files[0]) {
        input.files = event.dataTransfer.files;
        say("");
      }
    });
  }
}
