(function () {
  "use strict";
  var root = document.documentElement;
  var data = document.getElementById("page_charts");
  var specs = data ? JSON.parse(data.textContent) : {};
  var boxes = Object.keys(specs).map(function (id) { return document.getElementById(id); });
  var printing = false;
  var PRINTED_WIDTH = 690;

  function media(query) {
    return window.matchMedia ? window.matchMedia(query) : { matches: false };
  }

  // Colours are names of CSS variables until the chart is drawn.
  function coloured(value, style) {
    if (Array.isArray(value)) return value.map(function (part) { return coloured(part, style); });
    if (!value || typeof value !== "object") return value;
    if (typeof value.css === "string") return style.getPropertyValue(value.css).trim();
    var copy = {};
    Object.keys(value).forEach(function (key) { copy[key] = coloured(value[key], style); });
    return copy;
  }

  function draw(box) {
    var spec = specs[box.id];
    var drawn = coloured({ data: spec.data, layout: spec.layout }, getComputedStyle(root));
    var touch = media("(pointer: coarse)").matches;
    var width = printing ? PRINTED_WIDTH : box.clientWidth;
    drawn.layout.width = width;
    drawn.layout.height = width < 560 ? spec.narrow : spec.height;
    // A finger that drags scrolls the page.
    drawn.layout.dragmode = touch ? false : "zoom";
    try {
      if (!box.classList.contains("js-plotly-plot")) box.textContent = "";
      Plotly.react(box, drawn.data, drawn.layout, {
        displaylogo: false,
        displayModeBar: touch ? false : "hover",
        // Plotly's own choice has a button that sends the figures to a server.
        modeBarButtons: [["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"], ["toImage"]],
        toImageButtonOptions: { filename: box.id, scale: 2 }
      });
      box.style.minHeight = "";
      box.style.setProperty("--shape", width + " / " + drawn.layout.height);
      box.querySelectorAll(".main-svg").forEach(function (svg) {
        // So that paper of any width can scale it.
        svg.setAttribute("viewBox", "0 0 " + width + " " + drawn.layout.height);
      });
      var container = box.querySelector(".plot-container");
      if (container) container.setAttribute("aria-hidden", "true");
      box.dataset.width = width;
    } catch (error) {
      box.textContent = "This chart could not be drawn. Its numbers are below.";
      console.error(error);
    }
  }

  // One chart at a time, so that the page can be read and scrolled meanwhile.
  function drawFrom(i) {
    if (i >= boxes.length) { root.dataset.drawn = "all"; return; }
    if (!boxes[i].dataset.width) draw(boxes[i]);
    setTimeout(drawFrom, 0, i + 1);
  }

  function drawAll() { boxes.forEach(draw); }

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : media("(prefers-color-scheme: dark)").matches;
  }

  var button = document.getElementById("page_theme");
  function follow() {
    button.setAttribute("aria-pressed", String(isDark()));
    drawAll();
  }
  button.hidden = false;
  button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    follow();
  });
  var scheme = media("(prefers-color-scheme: dark)");
  if (scheme.addEventListener) scheme.addEventListener("change", follow);

  var waiting;
  window.addEventListener("resize", function () {
    clearTimeout(waiting);
    waiting = setTimeout(function () {
      boxes.forEach(function (box) { if (!printing && Number(box.dataset.width) !== box.clientWidth) draw(box); });
    }, 120);
  });

  // Paper is light and narrow.
  var theme;
  window.addEventListener("beforeprint", function () {
    theme = root.dataset.theme;
    printing = true;
    root.dataset.theme = "light";
    drawAll();
  });
  window.addEventListener("afterprint", function () {
    printing = false;
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
    drawAll();
  });

  // What a mouse finds by pointing, keys find by walking.
  var saying;
  var said = document.getElementById("page_said");
  function within(i, length) { return Math.min(Math.max(i, 0), length - 1); }
  function middle(edges, i) { return (edges[i] + edges[i + 1]) / 2; }
  function isMap(spec) { return spec.data.length > 0 && spec.data[0].type === "heatmap"; }
  function walk(box, step, row) {
    var spec = specs[box.id];
    var first = spec.data[0];
    var map = isMap(spec);
    var columns = (map ? first.z[0] : first.y).length;
    var at = box.at || [0, -1];
    at = [map ? within(at[0] + row, first.z.length) : 0, within(at[1] + step, columns)];
    box.at = at;
    var cell = box.calcdata[0][map ? 0 : at[1]];
    // By its place, so that one label has the points of all series.
    if (map) Plotly.Fx.hover(box, { xval: middle(cell.x, at[1]), yval: middle(cell.y, at[0]) });
    else if (spec.layout.hovermode === "closest") Plotly.Fx.hover(box, [{ curveNumber: 0, pointNumber: at[1] }]);
    else Plotly.Fx.hover(box, { xval: cell.x === undefined ? cell.p : cell.x });
    // The label comes a moment later.
    clearTimeout(saying);
    saying = setTimeout(say, 120, box);
  }
  function say(box) {
    var words = Array.prototype.map.call(box.querySelectorAll(".hoverlayer text"), function (text) {
      var lines = text.querySelectorAll("tspan.line");
      if (!lines.length) return text.textContent;
      return Array.prototype.map.call(lines, function (line) { return line.textContent; }).join(", ");
    });
    said.textContent = words.filter(Boolean).join("; ");
  }
  function press(box, title) {
    var tool = box.querySelector('.modebar-btn[data-title="' + title + '"]');
    if (tool) tool.click();
  }
  boxes.forEach(function (box) {
    box.addEventListener("keydown", function (event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      var keys = {
        ArrowRight: [walk, 1, 0], ArrowLeft: [walk, -1, 0], Home: [walk, -Infinity, 0], End: [walk, Infinity, 0],
        "+": [press, "Zoom in"], "-": [press, "Zoom out"], "0": [press, "Reset axes"]
      };
      if (isMap(specs[box.id])) { keys.ArrowDown = [walk, 0, 1]; keys.ArrowUp = [walk, 0, -1]; }
      var action = keys[event.key];
      if (!action) return;
      event.preventDefault();
      action[0](box, action[1], action[2]);
    });
    box.addEventListener("blur", function () { if (box.dataset.width) Plotly.Fx.unhover(box); });
  });

  // The contents show where the reader is.
  if (window.IntersectionObserver) {
    var observer = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        document.querySelectorAll("nav a").forEach(function (link) {
          if (link.getAttribute("href") === "#" + entry.target.id) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        });
      });
    }, { rootMargin: "-15% 0px -75% 0px" });
    document.querySelectorAll("main > section").forEach(function (section) { observer.observe(section); });
  }

  drawFrom(0);
})();
