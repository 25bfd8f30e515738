// Shows values under the pointer and switches series on and off. Everything else is
// there without it.
"use strict";
(() => {
  const tip = document.getElementById("tip");
  const plots = document.querySelectorAll("svg.plot");

  const number = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
  const write = {
    us: (v) => v >= 1e6 ? `${number(v / 1e6, 2)} s` : v >= 1e3 ? `${number(v / 1e3, 2)} ms` : `${number(v, 1)} µs`,
    rate: (v) => `${number(v, 0)}/s`,
    quantile: (v) => `${number(100 - 100 / v, 4)} %`,
    track: () => "",
  };

  // "kind,from,to,start,end,unit": the axis as the plot was drawn with it.
  const axis = (text) => {
    const [kind, from, to, start, end, unit] = text.split(",");
    const a = { from: +from, to: +to, start: +start, end: +end };
    const value = (place) => {
      const share = (place - a.start) / (a.end - a.start);
      return kind === "log" ? a.from * (a.to / a.from) ** share : a.from + (a.to - a.from) * share;
    };
    return { ...a, write: (place) => write[unit](value(place)) };
  };

  // The corners of a path of M and L only.
  const corners = (path) => {
    const runs = path.getAttribute("d").match(/[\d.]+ [\d.]+/g) || [];
    return runs.map((pair) => pair.split(" ").map(Number));
  };

  const nearest = (points, x) => {
    let best = null;
    for (const point of points) {
      if (!best || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
    }
    return best;
  };

  const prepare = (svg) => {
    const series = [...svg.querySelectorAll(".series")].flatMap((group) =>
      [...group.querySelectorAll("path.line")].map((path) => ({ group, points: corners(path) })));
    // Plots of one figure are on one track, and the first of them shows its stretches.
    const stretches = [...svg.closest("figure").querySelectorAll(".stretch")].map((rect) => ({
      rect, from: +rect.getAttribute("x"), width: +rect.getAttribute("width"),
    }));
    return { svg, x: axis(svg.dataset.x), y: axis(svg.dataset.y), series, stretches, guide: svg.querySelector(".guide") };
  };

  const head = (plot, x) => {
    const { stretches } = plot;
    if (!stretches.length) return plot.x.write(x);
    const away = ({ from, width }) => Math.max(from - x, x - from - width, 0);
    const at = stretches.reduce((best, one) => away(one) < away(best) ? one : best);
    const { name, begin, length } = at.rect.dataset;
    const share = Math.min(Math.max((x - at.from) / at.width, 0), 1);
    const time = +begin + share * length;
    return `${name}, ${time.toFixed(2)} s`;
  };

  const hide = (plot) => {
    tip.hidden = true;
    plot.guide.removeAttribute("d");
  };

  const show = (plot, event) => {
    const { svg, series } = plot;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const near = series
      .filter(({ group }) => !group.classList.contains("off"))
      .map(({ group, points }) => ({ group, at: nearest(points, point.x) }))
      .filter(({ at }) => at && Math.abs(at[0] - point.x) < 24);
    if (point.x < plot.x.start || point.x > plot.x.end || !near.length) return hide(plot);
    // Of one series in several parts, the nearer one.
    const named = new Map();
    for (const one of near) {
      const known = named.get(one.group.dataset.name);
      if (!known || Math.abs(one.at[0] - point.x) < Math.abs(known.at[0] - point.x)) named.set(one.group.dataset.name, one);
    }
    const found = [...named.values()].sort((a, b) => a.at[1] - b.at[1]);
    tip.replaceChildren();
    const title = document.createElement("b");
    title.textContent = head(plot, point.x);
    tip.append(title);
    for (const { group, at } of found) {
      const line = document.createElement("span");
      const dot = document.createElement("i");
      dot.style.setProperty("--c", getComputedStyle(group).getPropertyValue("--c"));
      const value = document.createElement("em");
      value.textContent = plot.y.write(at[1]);
      line.append(dot, group.dataset.name, value);
      tip.append(line);
    }
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const left = Math.min(event.clientX + 16, Math.max(8, room));
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${event.clientY + window.scrollY + 18}px`;
    plot.guide.setAttribute("d", `M${point.x} ${plot.y.start}V${plot.y.end}`);
  };

  for (const svg of plots) {
    const plot = prepare(svg);
    svg.addEventListener("pointermove", (event) => show(plot, event));
    svg.addEventListener("pointerdown", (event) => show(plot, event));
    svg.addEventListener("pointerleave", () => hide(plot));
  }

  for (const key of document.querySelectorAll("button.key")) {
    key.addEventListener("click", () => {
      const off = key.getAttribute("aria-pressed") === "true";
      key.setAttribute("aria-pressed", String(!off));
      const same = key.closest("figure").querySelectorAll(`.series[data-series="${key.dataset.series}"]`);
      for (const group of same) group.classList.toggle("off", off);
    });
  }

  // Where the style cannot unfold what is folded, for paper.
  const folded = [];
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) {
      part.open = true;
      folded.push(part);
    }
  });
  addEventListener("afterprint", () => {
    for (const part of folded.splice(0)) part.open = false;
  });

  document.documentElement.dataset.script = "ready";
  document.documentElement.dataset.plots = plots.length;
})();
