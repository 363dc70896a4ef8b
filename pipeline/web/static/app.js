// SPDX-License-Identifier: AGPL-3.0-or-later
// What all pages share: theme, dialogs, short messages, requests with the CSRF token, buttons that work once.
(() => {
  const csrf = () => document.querySelector('meta[name="csrf-token"]').content;

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf();
  });

  const toast = (text, kind = "") => {
    const box = document.getElementById("toasts");
    const item = document.createElement("p");
    item.className = `toast ${kind}`;
    item.textContent = text;
    box.append(item);
    setTimeout(() => item.remove(), 6000);
  };

  // fetch for pages of ours: JSON in and out, the CSRF token goes along. Rejects with what the server said.
  const send = async (url, body = undefined, method = "POST") => {
    const headers = { "X-CSRF-Token": csrf(), Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const type = answer.headers.get("content-type") || "";
    const content = type.includes("json") ? await answer.json() : await answer.text();
    if (!answer.ok) throw new Error((content && content.error) || answer.statusText);
    return content;
  };

  window.walkout = { toast, send };

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
    const closer = event.target.closest("[data-closes]");
    if (closer) closer.closest("dialog")?.close();
    if (event.target.closest("[data-theme-switch]")) {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
      const next = now === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      localStorage.setItem("theme", next);
    }
  });

  // A form is sent once: a second click while the first is on its way does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => { delete form.dataset.sent; form.removeAttribute("aria-busy"); }, 4000);
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    }
  });
})();
