"use strict";
// The page stands as it is without this script; the script adds numbers on hover and focus, the choice of a method, and
// the attention of every head. Text is only ever set as text.

const SIGNED = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3, signDisplay: "always" });
const SHARE = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.querySelector("main").appendChild(made("div", { className: "tip", hidden: true }));
const dark = window.matchMedia("(prefers-color-scheme: dark)");

// The greatest size of some numbers, of which there may be too many for arguments; 1 where all are 0.
function greatest(numbers) {
  return numbers.reduce((most, one) => Math.max(most, Math.abs(one)), 0) || 1;
}

function made(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function colour(name) {
  const probe = document.body.appendChild(made("span"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return found;
}

// Draw shares from 0 to 1, rows × columns, from the colour of the paper to that of what counts.
function drawn(canvas, shares, rows, columns) {
  canvas.width = columns;
  canvas.height = rows;
  const [from, to] = [colour("--paper"), colour("--plus")];
  const [context, image] = [canvas.getContext("2d"), new ImageData(columns, rows)];
  for (let at = 0; at < rows * columns; at++) {
    const share = Math.min(1, Math.max(0, shares[at]));
    for (let band = 0; band < 3; band++) image.data[4 * at + band] = from[band] + share * (to[band] - from[band]);
    image.data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

async function stream(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const flow = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Kind(await new Response(flow).arrayBuffer());
}

// Attention weights of one input, unpacked layer by layer when they are looked at.
class Weights {
  constructor(packed) {
    Object.assign(this, { size: packed.size, packed, layers: new Map() });
  }

  layer(number) {
    if (!this.layers.has(number)) this.layers.set(number, this.unpack(this.packed.layers[number]));
    return this.layers.get(number);
  }

  async unpack(layer) {
    const [counts, distances, levels, minus] = await Promise.all([
      stream(layer.counts, Uint16Array), stream(layer.distances, Uint16Array), stream(layer.values, Uint8Array),
      layer.minus && stream(layer.minus, Uint8Array)]);
    const starts = new Uint32Array(counts.length + 1);
    counts.forEach((count, row) => { starts[row + 1] = starts[row] + count; });
    return { starts, distances, levels, minus };
  }

  async row(number, head, query) {
    const { starts, distances, levels, minus } = await this.layer(number);
    const [found, at] = [new Float32Array(this.size), head * this.size + query];
    for (let place = starts[at], column = 0; place < starts[at + 1]; place++) {
      column += distances[place];
      found[column] = (minus?.[place] ? -1 : 1) * this.packed.top * 2 ** ((levels[place] - 255) / this.packed.steps);
    }
    return found;
  }

  async matrix(number, head) {
    return Promise.all(Array.from({ length: this.size }, (_, query) => this.row(number, head, query)));
  }
}

// One tab stop for a group of elements, and arrows between them.
function roving(elements, columns, chosen) {
  elements.forEach((element, at) => {
    element.tabIndex = at ? -1 : 0;
    element.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
      let to = at + (steps[event.key] || 0);
      if (event.key === "Home") to = 0;
      else if (event.key === "End") to = elements.length - 1;
      else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); chosen(at); return; }
      else if (!(event.key in steps)) return;
      event.preventDefault();
      if (!elements[to]) return;
      element.tabIndex = -1;
      elements[to].tabIndex = 0;
      elements[to].focus();
    });
    element.addEventListener("click", () => chosen(at));
  });
}

class Example {
  constructor(section, given, number) {
    Object.assign(this, { section, given, number, method: 0, head: null, query: null });
    this.live = section.querySelector(".live");
    this.stage = section.querySelector(".stage");
    this.parts = [...section.querySelectorAll("[data-part]")].sort((a, b) => a.dataset.part - b.dataset.part);
    this.weights = given.attention && new Weights(given.attention);
    this.prepare();
    if (this.weights) this.addAttention();
    this.recolour();
  }

  prepare() {
    if (this.weights && !this.section.querySelector("[data-own]") && this.given.attention.own.length) {
      this.stage.append(made("p", { className: "owns" }, ...this.given.attention.own.map((name, at) => {
        const chip = made("span", { className: "own", textContent: name });
        chip.dataset.own = at;
        return chip;
      })));
    }
    const own = [...this.section.querySelectorAll("[data-own]")];
    this.places = [...this.parts, ...own.sort((a, b) => a.dataset.own - b.dataset.own)];
    this.names = [...this.given.parts, ...own.map((element) => element.textContent)];
    this.places.forEach((element, at) => {
      element.setAttribute("role", "button");
      if (this.weights) element.setAttribute("aria-pressed", "false");
      for (const kind of ["mouseenter", "focus"]) element.addEventListener(kind, () => this.say(at, element));
      for (const kind of ["mouseleave", "blur"]) element.addEventListener(kind, () => { tip.hidden = true; });
    });
    const inOrder = [...this.section.querySelectorAll("[data-part], [data-own]")];
    const numbers = inOrder.map((element) => this.places.indexOf(element));
    roving(inOrder, this.given.grid ? this.given.grid[1] : 1, (at) => this.choose(numbers[at]));
    this.select = this.section.querySelector(".method");
    const changed = () => { this.method = Number(this.select.value); this.chooseHead(null); };
    this.select?.addEventListener("change", changed);
    // A browser that comes back to the page keeps what was chosen.
    if (this.select) window.addEventListener("pageshow", () => { if (Number(this.select.value) !== this.method) changed(); });
    if (this.section.querySelector("path.part")) this.addSlider();
  }

  addSlider() {
    const slider = made("input", { className: "cover", type: "range", min: 0, max: 100, value: 75 });
    slider.setAttribute("aria-label", "how strongly colours cover the input, in per cent");
    slider.addEventListener("input", () => this.stage.style.setProperty("--cover", slider.value / 100));
    this.section.querySelector(".controls").append(made("label", {}, "cover ", slider));
  }

  value(at) {
    return at < this.shown.length ? this.shown[at] : 0;
  }

  say(at, element) {
    const number = this.head ? SHARE.format(this.value(at)) : at < this.parts.length ? SIGNED.format(this.value(at)) : "no part of the input";
    const text = `${this.names[at]}: ${number}`;
    this.live.textContent = text;
    tip.textContent = text;
    tip.hidden = false;
    const box = element.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${box.top > 40 ? box.top - tip.offsetHeight - 4 : box.bottom + 4}px`;
  }

  async choose(at) {
    if (!this.weights) return;
    this.query = this.query === at ? null : at;
    this.places.forEach((element, place) => element.setAttribute("aria-pressed", String(place === this.query)));
    await this.drawHeads();
    await this.recolour();
  }

  // Put the weights that are looked at into the elements: those of a method, or of one row of a head.
  async recolour() {
    const [method, query, head] = [this.given.methods[this.method], this.asked(), this.head];
    this.turn = (this.turn ?? 0) + 1;
    const turn = this.turn;
    const row = head && await this.weights.row(...head, query);
    if (turn !== this.turn) return; // something else was chosen meanwhile
    this.shown = row || method.weights;
    const among = row ? [...row.slice(0, this.parts.length)] : method.weights;
    const top = greatest(among);
    this.places.forEach((element, at) => {
      if (at >= this.parts.length) return;
      element.style.setProperty("--a", Math.abs(this.shown[at]) / top);
      element.classList.toggle("minus", this.shown[at] < 0);
      element.classList.toggle("plus", this.shown[at] >= 0);
      if (element.hasAttribute("aria-label")) {
        const number = row ? SHARE.format(this.shown[at]) : SIGNED.format(this.shown[at]);
        element.setAttribute("aria-label", `${this.names[at]}: ${number}`);
      }
    });
    const layer = head && this.given.attention.layers[head[0]].layer;
    this.section.querySelector(".headline").textContent = row
      ? `attention of ${this.names[query]} in layer ${layer + 1}, head ${head[1] + 1}: where it looks, not why`
      : method.headline;
    const verdict = this.section.querySelector(".verdict");
    verdict.textContent = row ? "Attention of one head: whether it can be believed was not measured." : method.verdict;
    verdict.classList.toggle("doubt", Boolean(row) || method.doubt);
    this.section.querySelectorAll(".numbers").forEach((one, at) => { one.hidden = at !== this.method; });
    const focused = this.places.indexOf(document.activeElement);
    if (focused >= 0) this.say(focused, this.places[focused]);
    await this.drawPairs();
  }

  asked() {
    return this.query ?? this.given.attention?.read ?? 0;
  }

  addAttention() {
    const packed = this.given.attention;
    const block = this.section.querySelector(".attention");
    this.headsName = made("h2", { textContent: "Attention of all heads" });
    this.back = made("button", { type: "button", className: "back", textContent: "back to the method", hidden: true });
    this.back.addEventListener("click", () => this.chooseHead(null));
    const widest = Math.max(...packed.layers.map((layer) => layer.heads));
    const grid = made("div", { className: "heads" });
    grid.setAttribute("role", "group");
    grid.setAttribute("aria-label", "maps of all heads, a row a layer");
    grid.style.gridTemplateColumns = `auto repeat(${widest}, auto)`;
    grid.append(made("span"), ...Array.from({ length: widest }, (_, head) => made("span", { className: "name", textContent: head + 1 })));
    this.buttons = [];
    this.heads = [];
    packed.layers.forEach((layer, number) => {
      grid.append(made("span", { className: "name", textContent: `layer ${layer.layer + 1}` }));
      for (let head = 0; head < widest; head++) {
        if (head >= layer.heads) { grid.append(made("span")); continue; }
        const button = made("button", { type: "button" }, made("canvas"));
        button.setAttribute("aria-label", `layer ${layer.layer + 1}, head ${head + 1}`);
        button.setAttribute("aria-pressed", "false");
        grid.append(button);
        this.buttons.push(button);
        this.heads.push([number, head]);
      }
    });
    roving(this.buttons, widest, (at) => this.chooseHead(at));
    const lost = packed.kept < 0.995 ? ` The greatest weights of each row are kept, ${SHARE.format(packed.kept)} of all weight.` : "";
    block.className = "attention heads-block";
    block.append(this.headsName, made("p", { className: "note", textContent:
      "Attention before dropout. It says where a head looks; whether the answer hangs on that is what the scores say." + lost }),
    made("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `maps of all heads, input ${this.number}` }, grid), this.back);
    if (new Set(this.given.sources).size > 1) this.addPairs(block);
    const look = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      look.disconnect();
      this.drawHeads();
    });
    look.observe(block);
    const redraw = () => { this.drawHeads(); this.drawPairs(); };
    dark.addEventListener("change", redraw);
    window.matchMedia("print").addEventListener("change", redraw);
    window.addEventListener("beforeprint", redraw);
  }

  // Small maps: whole ones, or of the chosen place its row in each head.
  async drawHeads() {
    const packed = this.given.attention;
    this.headsName.textContent = this.query === null
      ? "Attention of all heads: rows look at columns"
      : `Where ${this.names[this.query]} looks, in each head`;
    if (this.query === null) {
      this.small ??= await stream(packed.small, Uint8Array);
      const area = packed.side ** 2;
      this.buttons.forEach((button, at) => {
        const shares = Float32Array.from(this.small.subarray(at * area, (at + 1) * area), (level) => level / 255);
        drawn(button.firstChild, shares, packed.side, packed.side);
      });
      return;
    }
    await Promise.all(this.heads.map(async ([layer, head], at) => {
      const row = (await this.weights.row(layer, head, this.query)).slice(0, this.parts.length);
      const top = greatest(row);
      const [rows, columns] = this.given.grid ?? [1, row.length];
      drawn(this.buttons[at].firstChild, row.map((weight) => Math.abs(weight) / top), rows, columns);
    }));
  }

  async chooseHead(at) {
    const same = at !== null && this.head && this.heads[at] === this.head;
    this.head = at === null || same ? null : this.heads[at];
    if (!this.weights) return this.recolour();
    this.buttons.forEach((button, one) => button.setAttribute("aria-pressed", String(this.heads[one] === this.head)));
    this.back.hidden = this.head === null;
    return this.recolour();
  }

  addPairs(block) {
    this.matrix = made("canvas", { className: "matrix", role: "img" });
    this.matrixName = made("h2", { textContent: "How the first text looks at the second" });
    [this.down, this.across] = ["down", "across"].map((name) => made("div", { className: `labels ${name}`, ariaHidden: "true" }));
    const pairs = made("div", { className: "pairs" }, made("span"), this.across, this.down, this.matrix);
    block.append(this.matrixName, made("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `words by words, input ${this.number}` }, pairs));
    this.links = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.links.setAttribute("class", "links");
    this.links.setAttribute("aria-hidden", "true");
    this.stage.append(this.links);
    this.matrix.addEventListener("mousemove", (event) => this.sayPair(event));
    this.matrix.addEventListener("mouseleave", () => { tip.hidden = true; });
    window.addEventListener("resize", () => this.drawPairs());
  }

  // Words of the first text by words of the second, and links from the chosen word to the other text.
  async drawPairs() {
    if (!this.matrix) return;
    const [first, second] = [0, 1].map((source) => this.given.sources.flatMap((one, at) => (one === source ? [at] : [])));
    const last = this.given.attention.layers.length - 1;
    const heads = this.head ? [this.head] : this.heads.filter(([layer]) => layer === last);
    const all = await Promise.all(heads.map(([layer, head]) => this.weights.matrix(layer, head)));
    const mean = (from, to) => all.reduce((sum, one) => sum + one[from][to], 0) / all.length;
    this.cells = first.map((from) => second.map((to) => mean(from, to)));
    Object.assign(this, { first, second });
    const cells = this.cells.flat();
    const top = greatest(cells);
    drawn(this.matrix, cells.map((weight) => Math.abs(weight) / top), first.length, second.length);
    const side = Math.max(6, Math.min(22, Math.floor(640 / Math.max(first.length, second.length))));
    this.matrix.style.width = `${side * second.length}px`;
    this.matrix.style.height = `${side * first.length}px`;
    for (const [labels, places] of [[this.down, first], [this.across, second]]) {
      labels.style.setProperty("--side", `${side}px`);
      labels.hidden = side < 12;
      labels.replaceChildren(...places.map((at) => made("span", { textContent: this.names[at] })));
    }
    const where = this.head ? `layer ${this.given.attention.layers[this.head[0]].layer + 1}, head ${this.head[1] + 1}` : "the last layer, mean of heads";
    this.matrixName.textContent = `How the first text (down) looks at the second (across): ${where}`;
    this.matrix.setAttribute("aria-label", this.matrixName.textContent);
    this.drawLinks(mean);
  }

  drawLinks(mean) {
    this.links.replaceChildren();
    if (this.query === null || this.query >= this.parts.length) return;
    const others = this.given.sources[this.query] === 0 ? this.second : this.first;
    const weights = others.map((to) => [mean(this.query, to), to]).sort((a, b) => b[0] - a[0]).slice(0, 8);
    const [stage, from] = [this.stage.getBoundingClientRect(), this.places[this.query].getBoundingClientRect()];
    const top = Math.max(weights[0]?.[0] ?? 0, 1e-12);
    for (const [weight, to] of weights) {
      const box = this.places[to].getBoundingClientRect();
      const down = box.top > from.top;
      const [x0, y0] = [from.left + from.width / 2 - stage.left, (down ? from.bottom : from.top) - stage.top];
      const [x1, y1] = [box.left + box.width / 2 - stage.left, (down ? box.top : box.bottom) - stage.top];
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", `M${x0} ${y0}C${x0} ${(y0 + y1) / 2} ${x1} ${(y0 + y1) / 2} ${x1} ${y1}`);
      path.setAttribute("stroke-width", String(1 + 4 * weight / top));
      path.setAttribute("stroke-opacity", String(0.15 + 0.85 * weight / top));
      this.links.append(path);
    }
  }

  sayPair(event) {
    const box = this.matrix.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * this.first.length);
    const column = Math.floor((event.clientX - box.left) / box.width * this.second.length);
    const weight = this.cells[row]?.[column];
    if (weight === undefined) return;
    tip.textContent = `${this.names[this.first[row]]} → ${this.names[this.second[column]]}: ${SHARE.format(weight)}`;
    tip.hidden = false;
    tip.style.left = `${event.clientX + 12}px`;
    tip.style.top = `${event.clientY + 12}px`;
  }
}

const examples = [...document.querySelectorAll("section.example")].map((section, at) => new Example(section, data[at], at + 1));
document.documentElement.dataset.ready = String(examples.length);
