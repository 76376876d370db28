// The encoder–decoder as an SVG. Where everything lies is decided in core/charts/diagram.py; here it gets its colours.
// Data: 4 bytes length (little endian), a JSON header, then the bytes of three attentions (255 is "masked") and those of
// the small tensors: 127 is zero, 0 and 254 the largest magnitude below and above it.

const ABSENT = 255, STEPS = 254, MIDDLE = 127, ABOVE = [99, 91, 232], BELOW = [229, 72, 77], SPACE = "http://www.w3.org/2000/svg"

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".headroom-diagram")
  if (!root || !data?.byteLength) return
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength), length = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)))
  const parts = split(data.subarray(4 + length), [...header.maps, ...header.strips])
  const cells = { maps: parts.slice(0, header.maps.length), strips: parts.slice(header.maps.length) }
  let drawn = null
  const draw = force => {
    const width = root.getBoundingClientRect().width, name = width < 560 ? "narrow" : "wide"
    if (width < 40 || (name === drawn && !force)) return
    drawn = name
    root.replaceChildren(paint(header, header.pictures[name], cells, readTheme(root), open))
  }
  const open = (box, place) => {
    setTriggerValue("open", { box, ...place })
    if (drawn === "narrow") setTimeout(() => document.querySelector(".st-key-explanation")?.scrollIntoView({ behavior: "smooth" }), 400)
  }
  const resized = new ResizeObserver(() => draw(false))
  resized.observe(root)
  const scheme = matchMedia("(prefers-color-scheme: dark)"), repaint = () => setTimeout(() => draw(true), 60)
  scheme.addEventListener("change", repaint)
  draw(true)
  return () => { resized.disconnect(); scheme.removeEventListener("change", repaint) }
}

function split(bytes, shapes) {
  let from = 0
  return shapes.map(shape => {
    const count = shape.reduce((product, size) => product * size, 1)
    from += count
    return { shape, cells: bytes.subarray(from - count, from) }
  })
}

function paint(header, picture, cells, theme, open) {
  const svg = node("svg", null, {
    viewBox: `0 0 ${picture.width} ${picture.height}`, role: "group", "aria-label": header.label,
    style: `width:100%;max-width:${picture.width * 1.12}px;display:block;margin:0 auto`,
  })
  const marker = node("marker", node("defs", svg), {
    id: "tip", viewBox: "0 0 8 8", refX: 6.5, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: "auto-start-reverse",
  })
  node("path", marker, { d: "M0 0.6 L7.4 4 L0 7.4 z", fill: theme.line })
  for (const [x, y, w, h, name] of picture.frames) {
    node("rect", svg, { x, y, width: w, height: h, rx: 14, fill: theme.panel, stroke: theme.border, "stroke-dasharray": "5 4" })
    write(svg, name, x + w - 10, y + 14, { "text-anchor": "end", fill: theme.quiet, "font-size": 12, "font-weight": 600 })
  }
  for (const points of picture.residuals) path(svg, points, { stroke: theme.faint, "stroke-width": 1.4, "marker-end": "url(#tip)" })
  for (const points of picture.arrows) path(svg, points, { stroke: theme.line, "stroke-width": 1.6, "marker-end": "url(#tip)" })
  for (const [x, y, stream] of picture.rings) {
    const ring = node("g", svg, { class: "box" })
    ring.addEventListener("click", () => open(stream, {}))
    node("circle", ring, { cx: x, cy: y, r: 14, fill: "transparent" })
    node("circle", ring, { class: "face", cx: x, cy: y, r: 7.5, fill: theme.background, stroke: theme.line, "stroke-width": 1.4 })
    node("path", ring, { d: `M${x - 4} ${y}h8M${x} ${y - 4}v8`, stroke: theme.line, "stroke-width": 1.4 })
  }
  for (const box of picture.boxes) drawBox(svg, box, cells, theme, open, header.chosen.includes(box.id))
  return svg
}

function drawBox(svg, box, { maps, strips }, theme, open, chosen) {
  const { x, y, w, h, tone } = box, paintOf = theme.tones[tone] ?? theme.tones.plain
  const group = node("g", svg, { class: "box", role: "link", tabindex: 0, "aria-label": [box.title, box.note].filter(Boolean).join(", ") })
  const go = event => { event.stopPropagation(); open(box.id, {}) }
  group.addEventListener("click", go)
  group.addEventListener("keydown", event => event.key === "Enter" && go(event))
  node("rect", group, { class: "face", x, y, width: w, height: h, rx: tone === "norm" ? 7 : 10, fill: paintOf.fill, stroke: chosen ? theme.primary : paintOf.stroke, "stroke-width": chosen ? 2.4 : 1.3 })
  if (tone === "tokens") return drawTokens(group, box, theme)
  if (box.maps >= 0) {
    write(group, box.title, x + w / 2, y + 16, { "text-anchor": "middle", fill: theme.text, "font-size": 13.5, "font-weight": 600 }, w - 10)
    write(group, box.note, x + w / 2, y + 32, { "text-anchor": "middle", fill: theme.quiet, "font-size": 11.5 }, w - 10)
    return drawMaps(group, box, maps[box.maps], theme, open)
  }
  if (box.strips.length) return drawStrips(group, box, strips, theme)
  const small = h < 30, wide = w > 240
  if (small || !box.note) return write(group, box.title, x + w / 2, y + h / 2, { "text-anchor": "middle", fill: theme.text, "font-size": small ? 11.5 : 13.5, "font-weight": small ? 400 : 600 }, w - 10)
  if (wide) {
    write(group, box.title, x + 14, y + h / 2, { fill: theme.text, "font-size": 13.5, "font-weight": 600 }, w * 0.62)
    return write(group, box.note, x + w - 14, y + h / 2, { "text-anchor": "end", fill: theme.quiet, "font-size": 12.5 }, w * 0.4)
  }
  write(group, box.title, x + w / 2, y + h / 2 - 8, { "text-anchor": "middle", fill: theme.text, "font-size": 12.5, "font-weight": 600 }, w - 8)
  write(group, box.note, x + w / 2, y + h / 2 + 9, { "text-anchor": "middle", fill: theme.quiet, "font-size": 11.5 }, w - 8)
}

function drawStrips(group, box, strips, theme) {
  const { x, y, w, h } = box, wide = w > 240, gap = 4, count = box.strips.length
  write(group, box.title, wide ? x + 14 : x + w / 2, y + (wide ? 17 : 14), { "text-anchor": wide ? "start" : "middle", fill: theme.text, "font-size": wide ? 13.5 : 12.5, "font-weight": 600 }, wide ? w * 0.62 : w - 8)
  write(group, box.note, wide ? x + w - 14 : x + w / 2, y + (wide ? 17 : 30), { "text-anchor": wide ? "end" : "middle", fill: theme.quiet, "font-size": wide ? 12.5 : 11.5 }, wide ? w * 0.4 : w - 8)
  const each = (w - 24 - gap * (count - 1)) / count, top = y + h - box.strip - 9
  box.strips.forEach((number, index) => {
    const { shape: [rows, columns], cells } = strips[number], left = x + 12 + index * (each + gap)
    node("rect", group, { x: left, y: top, width: each, height: box.strip, rx: 2, fill: theme.background })
    node("image", group, { href: signedPicture(cells, rows, columns), x: left, y: top, width: each, height: box.strip, preserveAspectRatio: "none", style: "image-rendering:pixelated" })
    node("rect", group, { x: left, y: top, width: each, height: box.strip, rx: 2, fill: "none", stroke: theme.border })
  })
}

function signedPicture(cells, rows, columns) {
  const canvas = document.createElement("canvas"), image = new ImageData(columns, rows)
  Object.assign(canvas, { width: columns, height: rows })
  cells.forEach((cell, index) => {
    image.data.set(cell > MIDDLE ? ABOVE : BELOW, 4 * index)
    image.data[4 * index + 3] = Math.round(255 * Math.abs(cell - MIDDLE) / MIDDLE)
  })
  canvas.getContext("2d").putImageData(image, 0, 0)
  return canvas.toDataURL()
}

function drawTokens(group, box, theme) {
  const { x, y, w, labels } = box
  write(group, box.title, x + 12, y + 15, { fill: theme.text, "font-size": 12.5, "font-weight": 600 }, w - 50)
  write(group, String(labels.length), x + w - 12, y + 15, { "text-anchor": "end", fill: theme.quiet, "font-size": 12 })
  let at = x + 10
  labels.some((label, index) => {
    const rest = labels.length - index, more = rest > 1 ? 34 : 0
    const text = shorten(label, 9), width = measure(text, 12) + 10
    const full = at + width + more > x + w - 8
    const shown = full ? `+${rest}` : text, wide = full ? measure(shown, 12) + 10 : width
    node("rect", group, { x: at, y: y + 26, width: wide, height: 19, rx: 5, fill: theme.chip })
    write(group, shown, at + wide / 2, y + 36, { "text-anchor": "middle", fill: theme.text, "font-size": 12 })
    at += wide + 4
    return full
  })
}

function drawMaps(group, box, { shape: [layers, heads, queries, keys], cells }, theme, open) {
  const gap = 3, size = Math.min(33, (box.w - 20 - gap * (heads - 1)) / heads)
  const left = box.x + (box.w - heads * size - gap * (heads - 1)) / 2
  for (let layer = 0; layer < layers; layer++) for (let head = 0; head < heads; head++) {
    const first = (layer * heads + head) * queries * keys
    const x = left + head * (size + gap), y = box.y + 45 + layer * (size + gap)
    const map = node("image", group, {
      href: picture(cells.subarray(first, first + queries * keys), queries, keys, theme), x, y, width: size, height: size,
      preserveAspectRatio: "none", class: "map", style: queries > size || keys > size ? "" : "image-rendering:pixelated",
    })
    const edge = node("rect", group, { x, y, width: size, height: size, rx: 2, fill: "transparent", stroke: theme.border, class: "edge" })
    node("title", edge).textContent = `${layer + 1}.${head + 1}`
    edge.addEventListener("click", event => { event.stopPropagation(); open(box.id, { layer, head }) })
  }
}

function picture(cells, rows, columns, theme) {
  const canvas = document.createElement("canvas"), image = new ImageData(columns, rows)
  Object.assign(canvas, { width: columns, height: rows })
  cells.forEach((cell, index) => {
    if (cell === ABSENT) return
    image.data.set(theme.ramp[cell], 4 * index)
    image.data[4 * index + 3] = 255
  })
  canvas.getContext("2d").putImageData(image, 0, 0)
  return canvas.toDataURL()
}

function path(svg, points, look) {
  const radius = 7
  let d = `M${points[0]}`
  for (let index = 1; index < points.length; index++) {
    const [x, y] = points[index], next = points[index + 1]
    if (!next) { d += `L${x} ${y}`; break }
    const [px, py] = points[index - 1]
    const before = toward([x, y], [px, py], radius), after = toward([x, y], next, radius)
    d += `L${before}Q${x} ${y} ${after}`
  }
  node("path", svg, { d, fill: "none", ...look })
}

function toward([x, y], [toX, toY], distance) {
  const length = Math.hypot(toX - x, toY - y) || 1, part = Math.min(distance, length / 2) / length
  return `${x + (toX - x) * part} ${y + (toY - y) * part}`
}

// ---- text and theme ------------------------------------------------------------------------------------------------

const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true })

function measure(text, size) {
  pen.font = `${size}px sans-serif`
  return pen.measureText(text).width
}

const shorten = (text, most) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text

function write(parent, text, x, y, look, room = Infinity) {
  const made = node("text", parent, { x, y, "dominant-baseline": "central", ...look })
  made.textContent = text
  const wide = measure(text, look["font-size"]) * (look["font-weight"] > 500 ? 1.06 : 1)
  if (wide > room) made.setAttribute("font-size", look["font-size"] * room / wide)
}

function node(tag, parent, attributes = {}) {
  const made = document.createElementNS(SPACE, tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  parent?.append(made)
  return made
}

function readTheme(root) {
  const style = getComputedStyle(root), value = name => style.getPropertyValue(`--st-${name}`).trim()
  const text = rgb(value("text-color") || "#222"), background = rgb(value("background-color") || "#fff")
  const primary = rgb(value("primary-color") || "#4f46e5"), orange = rgb("#f08c00")
  const mix = (ink, part) => css(background.map((channel, index) => Math.round(channel * (1 - part) + ink[index] * part)))
  const stops = value("chart-sequential-colors").split(/,(?![^(]*\))/).map(each => each.trim()).filter(Boolean).map(rgb)
  return {
    text: css(text), primary: css(primary), background: css(background), quiet: mix(text, 0.68), line: mix(text, 0.55), faint: mix(text, 0.34),
    border: mix(text, 0.2), panel: mix(text, 0.025), chip: mix(text, 0.1),
    tones: {
      plain: { fill: mix(text, 0.05), stroke: mix(text, 0.28) },
      norm: { fill: mix(text, 0.02), stroke: mix(text, 0.22) },
      tokens: { fill: mix(text, 0), stroke: mix(text, 0.22) },
      attention: { fill: mix(primary, 0.1), stroke: mix(primary, 0.75) },
      position: { fill: mix(orange, 0.1), stroke: mix(orange, 0.75) },
    },
    ramp: ramp(stops.length > 1 ? stops : [background, text]),
  }
}

function ramp(stops) {
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const place = step / STEPS * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2), part = place - low
    return [0, 1, 2].map(channel => Math.round(stops[low][channel] * (1 - part) + stops[low + 1][channel] * part))
  })
}

function rgb(colour) {
  pen.clearRect(0, 0, 1, 1)
  pen.fillStyle = colour
  pen.fillRect(0, 0, 1, 1)
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)]
}

const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`
