(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const el = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };

  // The heat map over any two axes.
  function heatMap() {
    const data = JSON.parse($("heat-data")?.textContent || "null");
    const table = $("heat"), form = $("heat-form");
    if (!data || !table || !form) return;
    const axes = data.axes || [];
    const values = Object.fromEntries(axes.map((a) => [a.name, a.values]));
    for (const [id, now] of [["heat-x", table.dataset.x], ["heat-y", table.dataset.y]]) {
      $(id).replaceChildren(...axes.map((a) => new Option(a.name, a.name, false, a.name === now)));
    }
    const two = axes.length > 1;
    $("heat-x").parentElement.hidden = $("heat-y").parentElement.hidden = !two;
    form.hidden = false;
    const tileFor = (match) => {
      const here = data.tiles.filter((t) => match.every(([axis, v]) => (t.axes || {})[axis] === v));
      if (!here.length) {
        const td = el("td", "none");
        td.append(el("span", "sr", "not in this design"));
        return td;
      }
      const t = here.reduce((a, b) => (b.peak > a.peak ? b : a));
      const td = el("td", `tile h-${t.headline} o-${t.outcome}`);
      td.style.setProperty("--v", t.heat);
      const a = el("a");
      a.href = "#" + t.id;
      a.title = `${t.title}: ${t.exact}`;
      a.append(el("b", "", t.text), el("span", "", t.headline.replaceAll("-", " ") + (t.outcome === "oom-killed" ? ", killed" : "")));
      td.append(a);
      return td;
    };
    const redraw = () => {
      table.classList.toggle("by-headline", $("heat-by").value === "headline");
      if (!two) return;
      const x = $("heat-x").value, y = $("heat-y").value, same = x === y;
      table.tHead.querySelector(".xn").textContent = x;
      table.tHead.querySelector(".yn").textContent = same ? "" : y;
      table.caption.textContent = `Peak memory and headline by ${same ? x : `${y} and ${x}`}`;
      const row = table.tHead.rows[0];
      while (row.cells.length > 1) row.deleteCell(-1);
      table.style.setProperty("--cols", values[x].length);
      for (const v of values[x]) {
        const th = el("th", "", v);
        th.scope = "col";
        row.append(th);
      }
      table.tBodies[0].replaceChildren(...(same ? [""] : values[y]).map((yv) => {
        const tr = el("tr"), th = el("th", "", yv);
        th.scope = "row";
        tr.append(th, ...values[x].map((xv) => tileFor(same ? [[x, xv]] : [[x, xv], [y, yv]])));
        return tr;
      }));
    };
    form.addEventListener("change", redraw);
    form.addEventListener("submit", (e) => e.preventDefault());
    table.style.setProperty("--cols", table.tHead.rows[0].cells.length - 1);
  }

  // Zoom of the flame graphs: a click on a frame makes it as wide as the graph; a click on it again, or on the root,
  // shows all.
  document.addEventListener("click", (e) => {
    const f = e.target.closest?.(".flame i");
    if (!f) return;
    const frames = [...f.parentElement.children];
    for (const i of frames) i.dataset.at ??= `${parseFloat(i.style.left)} ${parseFloat(i.style.width)}`;
    const at = (i) => i.dataset.at.split(" ").map(Number);
    const back = f.classList.contains("zoomed") || f.classList.contains("all");
    const [l, w] = back ? [0, 100] : at(f);
    for (const i of frames) {
      i.classList.toggle("zoomed", !back && i === f);
      const [il, iw] = at(i);
      const left = Math.max(0, (il - l) / w * 100), right = Math.min(100, (il + iw - l) / w * 100);
      i.hidden = right - left < 0.01;
      i.style.display = i.hidden ? "none" : "";
      i.style.left = left + "%";
      i.style.width = right - left + "%";
      if (!i.textContent && right - left > 2) i.textContent = i.title.split(" ")[0].split("/").pop();
    }
  });

  function copyButtons() {
    if (!navigator.clipboard) return;
    for (const pre of document.querySelectorAll(".again pre")) {
      if (pre.querySelector("button")) continue;
      const b = el("button", "", "Copy");
      b.type = "button";
      b.addEventListener("click", async () => {
        await navigator.clipboard.writeText(pre.querySelector("code").textContent);
        b.textContent = "Copied";
        setTimeout(() => { b.textContent = "Copy"; }, 1500);
      });
      pre.append(b);
    }
  }

  // A link to a cell, or to something in it, opens it; printing opens all.
  const reveal = () => {
    const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const d = at?.closest("details.cell");
    if (d) { d.open = true; at.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (e) => { if (e.target.closest?.('a[href^="#cell-"]')) setTimeout(reveal); });
  addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details.cell")) d.open = true; });

  // A page that is served follows its run: it swaps its content when the state has changed and keeps what is open.
  async function follow(live) {
    const note = $("live");
    try {
      const r = await fetch(live.url, { cache: "no-store" });
      if (!r.ok) throw new Error(r.statusText);
      const next = await r.json();
      note.textContent = next.running ? "live" : "ended";
      if (next.state !== live.state) {
        const doc = new DOMParser().parseFromString(await (await fetch(location.pathname, { cache: "no-store" })).text(), "text/html");
        const open = new Set([...document.querySelectorAll("details[open]")].map((d) => d.id));
        for (const d of doc.querySelectorAll("details.cell")) d.open = open.has(d.id);
        $("main").replaceWith(document.adoptNode(doc.getElementById("main")));
        live.state = next.state;
        start();
      }
      if (!next.running) return;
    } catch {
      note.textContent = "not reachable";
    }
    setTimeout(() => follow(live), 5000);
  }

  function start() { heatMap(); copyButtons(); }
  start();
  reveal();
  const live = JSON.parse($("live-state")?.textContent || "null");
  if (live) setTimeout(() => follow(live), 2000);
})();
