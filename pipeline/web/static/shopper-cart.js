// SPDX-License-Identifier: AGPL-3.0-or-later
// The live cart: rows come, change and go as the server tells; nothing is worked out here but what they look like.
(() => {
  const root = document.querySelector("[data-cart]");
  if (!root) return;
  const words = JSON.parse(document.getElementById("shopper-words").textContent);
  const part = (name) => root.querySelector(`[data-${name}]`);
  const list = part("items");
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const digits = Number(root.dataset.digits);
  const money = new Intl.NumberFormat(document.documentElement.lang, {
    style: "currency", currency: root.dataset.currency, minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
  const price = (minor) => money.format(minor / 10 ** digits);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  let cart = null;

  const said = part("said");
  let waiting = [];
  const say = (text) => {
    // Several changes at once are one announcement.
    if (!waiting.length) setTimeout(() => { said.textContent = waiting.join(" "); waiting = []; }, 400);
    waiting.push(text);
  };

  const row = (item) => {
    const node = part("row").content.firstElementChild.cloneNode(true);
    node.dataset.key = item.key;
    const picture = node.querySelector("img");
    picture.loading = "eager";
    picture.src = `/shop/pictures/${encodeURIComponent(item.gtin)}`;
    return node;
  };

  const draw = (node, item) => {
    const set = (name, text, shown = true) => {
      const field = node.querySelector(`[data-${name}]`);
      if (text !== null) field.textContent = text;
      field.hidden = !shown;
    };
    node.className = `line ${item.state}`;
    set("name", item.name);
    set("each", `${item.quantity} × ${price(item.unit_price_minor)}`, item.quantity > 1 || item.discount_minor > 0);
    set("off-amount", `−${price(item.discount_minor)}`);
    set("off", null, item.discount_minor > 0);
    let why = words.doubts[item.doubt || "other"];
    if (item.doubt === "product" && item.may_be.length) {
      why += ` ${words.perhaps} ${item.may_be.join(", ")}`;
    }
    set("why", why, item.state === "checking");
    set("person", fill(words.person, { number: item.member }), cart.party_size > 1);
    set("total", price(item.total_minor));
    set("checking", null, item.state === "checking");
    set("free", null, item.state === "free");
  };

  const find = (key) => list.querySelector(`[data-key="${CSS.escape(key)}"]:not(.leaving)`);

  const place = (node, item) => {
    // Newest on top.
    const older = [...list.children].find((other) => !other.classList.contains("leaving") && Number(other.dataset.at) < item.taken_at_ns);
    node.dataset.at = item.taken_at_ns;
    list.insertBefore(node, older || null);
  };

  const put = (item, quiet) => {
    let node = find(item.key);
    const known = node !== null;
    if (!known) {
      node = row(item);
      place(node, item);
    }
    draw(node, item);
    if (quiet) return;
    node.classList.add(known ? "touched" : "arrived");
    const values = { name: item.name, price: price(item.total_minor), quantity: item.quantity };
    say(fill(known ? words.changed : words.added, values));
    if (item.state === "checking") say(fill(words.checking, values));
  };

  const take = (key, announce) => {
    const node = find(key);
    if (!node) return;
    if (announce) say(fill(words.gone, { name: node.querySelector("[data-name]").textContent }));
    if (calm) node.remove();
    else {
      node.classList.add("leaving");
      node.addEventListener("animationend", () => node.remove(), { once: true });
      setTimeout(() => node.remove(), 800);
    }
  };

  const frame = () => {
    const inside = cart !== null;
    part("outside").hidden = inside;
    part("inside").hidden = !inside;
    if (!inside) return;
    part("sum").textContent = price(cart.total_minor);
    part("checking-sum").textContent = price(cart.checking_minor);
    part("doubtful").hidden = cart.checking_minor === 0;
    part("leaving").hidden = cart.state !== "leaving";
    part("empty").hidden = cart.items.size > 0;
    root.dataset.seq = cart.seq;
    if (cart.state === "settled" && cart.receipt_id) {
      stream.close();
      said.textContent = words.settled;
      location.assign(`/shop/receipts/${encodeURIComponent(cart.receipt_id)}?new=1`);
    }
  };

  const whole = (given) => {
    list.replaceChildren();
    cart = given && { ...given, items: new Map(given.items.map((item) => [item.key, item])) };
    for (const item of given ? given.items : []) put(item, true);
    frame();
  };

  const change = (given) => {
    if (cart === null || given.visit_id !== cart.visit_id || given.seq !== cart.seq + 1) {
      location.reload(); // should not be: the server says what follows what
      return;
    }
    const { put: items, gone, ...fields } = given;
    Object.assign(cart, fields);
    for (const key of gone) { cart.items.delete(key); take(key, true); }
    for (const item of items) { cart.items.set(item.key, item); put(item, false); }
    if (items.length || gone.length) say(fill(words.sum, { price: price(cart.total_minor) }));
    frame();
  };

  const stream = new EventSource(root.dataset.events);
  const connected = (live) => {
    part("dot").className = `dot ${live ? "live" : "lost"}`;
    part("connection").textContent = live ? words.live : words.lost;
  };
  stream.addEventListener("open", () => connected(true));
  stream.addEventListener("error", () => {
    connected(false);
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
  stream.addEventListener("cart", (event) => whole(JSON.parse(event.data)));
  stream.addEventListener("change", (event) => change(JSON.parse(event.data)));
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
