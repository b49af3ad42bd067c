// Makes a report interactive: rows on and off, sorted tables, charts by Plotly, enlarged pictures, all open in print.
// Without it the page reads the same. Nothing is fetched; texts enter the page as text.
(function () {
  "use strict";
  const all = (selector, inside) => Array.from((inside || document).querySelectorAll(selector));
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const off = new Set();
  document.documentElement.classList.add("js");

  function made(tag, text, more) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    return Object.assign(element, more);
  }

  // --- charts: what stands in the page as a picture, drawn so that its values can be read off
  const DASHES = ["solid", "dash", "dot", "dashdot"]; // as analysis.report.figures has them
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "x"];
  const charts = all("figure.chart").map((figure) => ({
    figure: figure,
    data: JSON.parse(figure.querySelector("script").textContent),
    live: null,
  }));

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function trace(one) {
    const look = one.place % 7;
    const plain = colour("c" + look);
    const dash = DASHES[(Math.floor(one.place / 7) + (look === 5 ? 1 : 0)) % 4];
    return {
      type: "scatter", mode: one.mode, name: escaped(one.row), legendgroup: one.row, meta: one.row, x: one.x, y: one.y,
      text: Array.isArray(one.text) ? one.text.map(escaped) : escaped(one.text), showlegend: one.mean, opacity: one.mean ? 1 : 0.45, visible: !off.has(one.row),
      line: { color: plain, width: one.mean ? 2.4 : 1, dash: dash }, marker: { color: plain, symbol: MARKERS[look], size: 8 },
      error_y: one.error ? { type: "data", array: one.error, color: plain, thickness: 1.2 } : undefined,
      hovertemplate: "%{fullData.name}, %{text}<br>%{x}: %{y:.2f}" +
        (one.error ? " ± %{error_y.array:.2f}" : "") + "<extra></extra>",
    };
  }

  // Plotly reads some HTML in names
  function escaped(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\n/g, "<br>");
  }

  function axis(title, range) {
    return {
      title: { text: title, standoff: 8 }, range: range, gridcolor: colour("rule"), linecolor: colour("ink"), zeroline: false,
      showline: true, ticks: "outside", automargin: true,
    };
  }

  function layout(data) {
    const x = Object.assign(axis(data.x, data.xrange), { showgrid: false });
    if (data.ticks) Object.assign(x, { tickvals: data.ticks[0], ticktext: data.ticks[1].map(escaped) });
    if (data.log) x.type = "log";
    return {
      xaxis: x, yaxis: axis(data.y, data.yrange), height: 340, margin: { l: 52, r: 12, t: 12, b: 40 }, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("ink"), size: 12 },
      hoverlabel: { bgcolor: colour("raised"), font: { color: colour("ink") } }, legend: { orientation: "h", y: -0.28 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("rule"), activecolor: colour("soft") },
      shapes: data.marks.map((at) => ({
        type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: colour("ink"), width: 1, dash: "dot" },
      })),
      annotations: data.marks.map((at) => ({
        x: at, yref: "paper", y: 1, text: "warm-up ends", showarrow: false, xanchor: "left", yanchor: "top", font: { size: 11 },
      })),
    };
  }

  const CONFIG = {
    responsive: true, displayModeBar: innerWidth < 600 ? false : undefined, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    showSendToCloud: false, showEditInChartStudio: false,
  };

  function draw(chart) {
    if (!chart.live) {
      chart.live = made("div", "", { className: "live" });
      chart.figure.append(chart.live);
      chart.figure.classList.add("lively");
    }
    Plotly.react(chart.live, chart.data.traces.map(trace), layout(chart.data), CONFIG);
    if (!chart.heard) {
      chart.heard = true;
      chart.live.on("plotly_legendclick", (event) => {
        toggle(event.fullData.meta);
        return false;
      });
      chart.live.on("plotly_legenddoubleclick", () => false);
    }
  }

  // --- rows on and off, everywhere at once
  const boxes = new Map();

  function toggle(row) {
    if (!off.delete(row)) off.add(row);
    boxes.get(row).checked = !off.has(row);
    all("[data-row]").filter((part) => part.dataset.row === row).forEach((part) => (part.hidden = off.has(row)));
    const place = rows.find((one) => one.name === row).place;
    all(`.still [id*="-row${place}-"]`).forEach((part) => (part.style.display = off.has(row) ? "none" : ""));
    charts.forEach((chart) => {
      if (!chart.live) return;
      const mine = chart.data.traces.flatMap((one, i) => (one.row === row ? [i] : []));
      // in the legend it stays, as the way back
      if (mine.length) Plotly.restyle(chart.live, { visible: off.has(row) ? "legendonly" : true }, mine);
    });
  }

  function switches() {
    const field = document.getElementById("switch");
    rows.forEach((one) => {
      const box = made("input", "", { type: "checkbox", checked: true });
      box.dataset.switch = one.name;
      box.addEventListener("change", () => toggle(one.name));
      const mark = made("i");
      mark.style.background = `var(--c${one.place % 7})`;
      const label = made("label");
      label.append(box, mark, one.name);
      field.append(label);
      boxes.set(one.name, box);
    });
    field.hidden = rows.length < 2;
  }

  // --- tables, sorted by a click on a head; published rows stay below
  function value(line, place) {
    const text = line.children[place].textContent.trim();
    const number = parseFloat(text.replace(/[^\d.+-]*/, ""));
    return text.startsWith("–") || text === "" ? null : isNaN(number) || /^[^\d+\-.]/.test(text) ? text : number;
  }

  function sorted(table, head, place) {
    const before = head.getAttribute("aria-sort");
    const sign = before === "descending" ? 1 : before === "ascending" || place === 0 ? (before ? -1 : 1) : -1;
    all("th", table.tHead).forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const body = table.tBodies[0];
    const lines = Array.from(body.rows).map((line) => ({ line: line, value: value(line, place) }));
    lines.sort((a, b) => {
      const published = a.line.classList.contains("published") - b.line.classList.contains("published");
      if (published) return published;
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
      if (typeof a.value === "number" && typeof b.value === "number") return sign * (a.value - b.value);
      return sign * String(a.value).localeCompare(String(b.value), undefined, { numeric: true });
    });
    lines.forEach((one) => body.append(one.line));
  }

  function sortable(table) {
    all("th", table.tHead).forEach((head, place) => {
      const button = made("button", head.textContent, { type: "button", title: "Sort by this column" });
      head.replaceChildren(button);
      button.addEventListener("click", () => sorted(table, head, place));
    });
  }

  // --- pictures, enlarged: image and truth beside the one that was clicked
  function zoom() {
    const dialog = made("dialog", "", { className: "zoom" });
    dialog.setAttribute("aria-label", "Enlarged picture");
    dialog.addEventListener("click", () => dialog.close());
    document.body.append(dialog);
    all(".picture img").forEach((img) => {
      img.tabIndex = 0;
      img.setAttribute("role", "button");
      const open = () => {
        const mine = img.closest("figure");
        const others = Array.from(mine.parentElement.children).filter((one) => !one.dataset.row && one !== mine);
        const shown = [...others, mine].map((one) => one.cloneNode(true));
        shown.forEach((one) => all("img", one).forEach((copy) => copy.removeAttribute("tabindex")));
        dialog.replaceChildren(made("button", "close", { type: "button" }), ...shown);
        dialog.showModal();
      };
      img.addEventListener("click", open);
      img.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        open();
      });
    });
  }

  // --- print: nothing folded
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => folded.forEach((one) => (one.open = false)));

  switches();
  all("table.results, table.cells:not(.compared)").forEach(sortable);
  zoom();
  charts.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));
  document.documentElement.dataset.ready = "yes";
})();
