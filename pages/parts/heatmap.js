// One canvas for attention: a grid of all heads, one head as a matrix, one head as lines, vectors as strips.
// Data: 4 bytes length (little endian), a JSON header, then one byte per cell: 0..254 is a weight, 255 is "masked".
// A header with `signed: m` means values from -m to m instead, with `most: m` from 0 to m; one with `titles` names the
// maps of a grid. `marks: [open, masked]` are written into the cells of a mask, `splits` divide it, `edited` cells get a
// frame, `lit: [rows, columns]` fades all cells outside two ranges, lines are drawn above the rows `rules`. With
// `toggles` a click, Enter or the space bar reports a cell as toggled, where arrow keys only choose it.
// With `frames` the cells of several moments follow each other, and the player of that name says which one is shown.
// `words` are what to say, or the language whose words heatmap.py put before this file as WORDS.
// Words that a visitor typed reach the screen through fillText and textContent only.

const ABSENT = 255, STEPS = 254
const PATIENCE = 2000 // milliseconds in which an answer may be to a choice before the last one
const HOVER = "headroom-hover" // the matrix and the lines of one head tell each other what is pointed at
const MOMENT = "headroom-moment" // a player tells what follows it where it stands, and leaves it in window.headroomMoments

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".headroom-map")
  if (!root || !data?.byteLength) return
  const chart = root.chart ?? (root.chart = mount(root))
  chart.send = setStateValue
  chart.fire = setTriggerValue
  chart.read(unpack(data))
  return () => { chart.leave(); root.chart = null; root.replaceChildren() }
}

function unpack(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const length = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)))
  return { ...header, words: WORDS[header.words] ?? header.words, cells: data.subarray(4 + length) }
}

const MODES = { grid: grid, detail: detail, lines: lines, strips: strips }

function mount(root) {
  const canvas = element("canvas", root), tip = element("div", root, "tip"), spoken = element("div", root, "spoken")
  const chart = { root, canvas, tip, width: 0, hover: null, model: null, view: null }
  canvas.tabIndex = 0
  canvas.setAttribute("role", "application")
  spoken.setAttribute("aria-live", "polite")
  tip.setAttribute("aria-hidden", "true")

  let sent = [], since = 0 // the choices since the page last agreed, the one before them first
  const field = model => model.mode === "grid" ? "chosen" : "cell"
  const overtaken = model => {
    const answer = String(model[field(model)]), alike = String(model.shape) === String(chart.model?.shape)
    return alike && performance.now() - since < PATIENCE && answer !== sent.at(-1) && sent.includes(answer)
  }

  chart.read = model => {
    if (overtaken(model)) model[field(model)] = chosen()
    else sent = []
    chart.model = model
    chart.hover = null
    if (model.frames) pick(chart, window.headroomMoments?.[model.frames])
    canvas.setAttribute("aria-label", model.words.label)
    draw()
  }
  const draw = () => {
    chart.width = Math.floor(root.getBoundingClientRect().width)
    if (!chart.model || chart.width < 40) return
    chart.theme = readTheme(root, chart.model.signed)
    chart.view = MODES[chart.model.mode](chart)
  }
  const chosen = () => chart.model[field(chart.model)]
  const choose = (place, toggled = false) => {
    if (!place) return
    sent.push(...(sent.length ? [] : [String(chosen())]), String(place))
    since = performance.now()
    chart.model[field(chart.model)] = place
    draw()
    spoken.textContent = chart.view.say(place)
    if (toggled && chart.model.toggles) chart.fire("toggle", place)
    else chart.send(chart.model.mode === "grid" ? "head" : "cell", place)
  }
  const point = (place, where) => {
    const before = JSON.stringify(chart.hover)
    chart.hover = place
    if (JSON.stringify(place) !== before) {
      draw()
      if (chart.model.mode !== "grid") window.dispatchEvent(new CustomEvent(HOVER, { detail: { from: chart, place } }))
    }
    showTip(chart, place && where ? chart.view.tell(place) : null, where)
  }
  const at = event => {
    const box = canvas.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
  }

  canvas.onpointermove = event => event.pointerType !== "touch" && point(chart.view?.find(...at(event)), at(event))
  canvas.onpointerleave = () => point(null)
  canvas.onclick = event => {
    const place = chart.view?.find(...at(event))
    choose(place && chart.view.settle(place), true)
  }
  canvas.onkeydown = event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]
    const toggled = chart.model.toggles && [" ", "Enter"].includes(event.key)
    if (!(step || toggled) || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    if (toggled) return choose(chosen(), true)
    const [rows, columns] = chart.model.shape, [row, column] = chosen()
    choose([within(row + step[0], rows), within(column + step[1], columns)])
  }

  const overheard = event => {
    if (event.detail.from === chart || !chart.model || chart.model.mode === "grid") return
    const [row, column] = event.detail.place ?? [0, 0], [rows, columns] = chart.model.shape
    if (row >= rows || column >= columns) return
    chart.hover = event.detail.place ?? null
    draw()
  }
  const moved = event => {
    if (!chart.model?.frames || event.detail !== chart.model.frames) return
    pick(chart, window.headroomMoments[event.detail])
    draw()
  }
  window.addEventListener(HOVER, overheard)
  window.addEventListener(MOMENT, moved)
  const resized = new ResizeObserver(() => Math.floor(root.getBoundingClientRect().width) !== chart.width && draw())
  resized.observe(root)
  const scheme = matchMedia("(prefers-color-scheme: dark)"), repaint = () => setTimeout(draw, 60)
  scheme.addEventListener("change", repaint)
  document.fonts?.ready.then(draw)
  chart.leave = () => {
    resized.disconnect()
    window.removeEventListener(HOVER, overheard)
    window.removeEventListener(MOMENT, moved)
    scheme.removeEventListener("change", repaint)
  }
  return chart
}

function pick(chart, moment) {
  const { model } = chart, size = model.shape.reduce((product, each) => product * each, 1)
  model.all ??= model.cells
  const frame = within((moment ?? Infinity) - 1, model.all.length / size)
  model.cells = model.all.subarray(frame * size, (frame + 1) * size)
}

// ---- all heads of one kind -----------------------------------------------------------------------------------------

function grid(chart) {
  const { shape: [layers, heads, queries, keys], cells, chosen, off = [], edited = [], words, titles } = chart.model
  const left = titles ? 0 : 26, top = 23, gap = chart.width < 500 ? 4 : 8, edge = 3
  const size = Math.min(titles ? 190 : 132, Math.floor((chart.width - left - 2 * edge - gap * (heads - 1)) / heads))
  const step = size + (titles ? top + edge : gap), height = top + layers * step - (titles ? top : gap) + edge
  const x = head => left + edge + head * (size + gap), y = layer => top + layer * step
  const pen = begin(chart, height), { theme } = chart
  const silent = new Set(off.map(String)), changed = new Set(edited.map(String))

  pen.font = `12px ${theme.font}`
  titles?.forEach((row, layer) => row.forEach((title, head) => {
    const mine = String([layer, head]) === String(chosen)
    write(pen, fit(pen, title, size), x(head), y(layer) - 10, mine ? theme.text : theme.soft, "left", mine)
  }))
  for (let head = 0; !titles && head < heads; head++) write(pen, String(head + 1), x(head) + size / 2, top - 13, theme.quiet, "center")
  for (let layer = 0; !titles && layer < layers; layer++) write(pen, String(layer + 1), left - 8, y(layer) + size / 2, theme.quiet, "right")
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < heads; head++) {
      const first = (layer * heads + head) * queries * keys
      const map = cells.subarray(first, first + queries * keys)
      hatch(pen, theme, x(head), y(layer), size, size)
      paint(pen, theme, map, queries, keys, x(head), y(layer), size, size)
      if (silent.has(String([layer, head]))) strike(pen, theme, x(head), y(layer), size)
      frame(pen, theme.border, 1, x(head), y(layer), size, size)
      if (changed.has(String([layer, head]))) corner(pen, theme, x(head) + size, y(layer))
    }
  }
  if (chart.hover) frame(pen, theme.text, 1.5, x(chart.hover[1]), y(chart.hover[0]), size, size)
  frame(pen, theme.primary, 3, x(chosen[1]) - 1, y(chosen[0]) - 1, size + 2, size + 2)

  const name = ([layer, head]) => {
    if (titles) return titles[layer][head]
    const note = changed.has(String([layer, head])) ? `, ${words.edited}` : ""
    return `${words.layer} ${layer + 1}, ${words.head} ${head + 1}${note}`
  }
  return {
    find: (px, py) => {
      const head = Math.floor((px - left - edge + gap / 2) / (size + gap)), layer = Math.floor((py - (titles ? 0 : top - gap / 2)) / step)
      return head >= 0 && head < heads && layer >= 0 && layer < layers ? [layer, head] : null
    },
    settle: place => place, tell: place => [name(place)], say: name,
  }
}

// ---- one head as a matrix ------------------------------------------------------------------------------------------

function detail(chart) {
  const { shape: [rows, columns], cells, queries, keys, cell, words, marks, edited = [], splits, lit, rules = [] } = chart.model, { theme } = chart
  const measure = chart.canvas.getContext("2d")
  const narrow = chart.width < 500, size = narrow ? 11 : 12.5
  measure.font = `${size}px ${theme.font}`
  const longest = (labels, most) => Math.min(most, Math.ceil(Math.max(...labels.map(each => measure.measureText(each).width))))
  const rowRoom = longest(queries, narrow ? 92 : 120), columnRoom = longest(keys, narrow ? 74 : 110)
  const left = rowRoom + 30, edge = 4
  const tilt = Math.PI / 3.4, spill = Math.ceil(columnRoom * Math.cos(tilt))
  const room = chart.width - left - edge - Math.min(spill, narrow ? 26 : 70)
  const unit = Math.max(chart.model.signed ? 1 : 4, Math.min(38, room / columns, Math.max(12, (lit ? 780 : 620) / rows)))
  const top = Math.ceil(columnRoom * Math.sin(tilt)) + 34, legend = 23 + LINE * legendLines(measure, chart, left).length
  const width = unit * columns, height = unit * rows
  const pen = begin(chart, top + height + legend), x = key => left + key * unit, y = query => top + query * unit
  const hot = chart.hover ?? cell

  hatch(pen, theme, left, top, width, height)
  paint(pen, theme, cells, rows, columns, left, top, width, height)
  pen.strokeStyle = theme.background
  pen.lineWidth = unit > 14 ? 1 : 0
  if (pen.lineWidth) for (let key = 1; key < columns; key++) segment(pen, x(key), top, x(key), top + height)
  if (pen.lineWidth) for (let query = 1; query < rows; query++) segment(pen, left, y(query), left + width, y(query))
  frame(pen, theme.border, 1, left, top, width, height)
  pen.font = `${Math.min(13, unit * 0.6)}px ${theme.font}`
  if (marks) cells.forEach((byte, index) => {
    const mark = marks[byte === ABSENT ? 1 : 0], ink = byte === ABSENT ? theme.quiet : byte > STEPS / 2 ? theme.background : theme.text
    if (unit >= 6 + 6 * mark.length) write(pen, mark, x(index % columns) + unit / 2, y(Math.floor(index / columns)) + unit / 2 + 1, ink, "center")
  })
  if (lit) light(pen, theme, [left, top, width, height], [x(lit[1][0]), y(lit[0][0]), x(lit[1][1]), y(lit[0][1])])
  pen.strokeStyle = theme.text
  pen.lineWidth = 1.5
  for (const row of rules) segment(pen, 0, y(row), left + width, y(row))
  if (splits) segment(pen, left, y(splits[0]), left + width, y(splits[0]))
  if (splits) segment(pen, x(splits[1]), top, x(splits[1]), top + height)
  for (const [query, key] of edited) frame(pen, theme.accent, 2, x(key) + 1, y(query) + 1, unit - 2, unit - 2)
  if (chart.hover) {
    const [query, key] = chart.hover // the lines point at a whole row or column: the other one is null
    pen.fillStyle = fade(theme.text, 0.07)
    if (query !== null) pen.fillRect(left, y(query), width, unit)
    if (key !== null) pen.fillRect(x(key), top, unit, height)
    if (query !== null && key !== null) frame(pen, theme.text, 1.5, x(key), y(query), unit, unit)
  }
  frame(pen, marks ? theme.text : theme.accent, 2.5, x(cell[1]), y(cell[0]), unit, unit)

  pen.font = `${size}px ${theme.font}`
  const every = Math.ceil(size / unit)
  const across = Math.ceil(size / (unit * Math.sin(tilt))) // slanted names stand closer to each other
  const crowded = (index, chosen, step = every) => index !== chosen && (index % step || (chosen !== null && Math.abs(index - chosen) < step))
  queries.forEach((label, query) => {
    if (crowded(query, hot[0])) return
    const ink = query === hot[0] ? theme.text : theme.soft
    write(pen, fit(pen, label, rowRoom), left - 7, y(query) + unit / 2, ink, "right", query === hot[0])
  })
  keys.forEach((label, key) => {
    if (crowded(key, hot[1], across)) return
    pen.save()
    pen.translate(x(key) + unit / 2 + 2, top - 7)
    pen.rotate(-tilt)
    write(pen, fit(pen, label, columnRoom), 0, 0, key === hot[1] ? theme.text : theme.soft, "left", key === hot[1])
    pen.restore()
  })
  pen.font = `600 12px ${theme.font}`
  write(pen, `${words.keys} →`, left, 9, theme.quiet, "left")
  pen.save()
  pen.translate(9, top + height / 2)
  pen.rotate(-Math.PI / 2)
  write(pen, `← ${words.queries}`, 0, 0, theme.quiet, "center")
  pen.restore()
  drawLegend(pen, chart, left, top + height + 14)

  return {
    find: (px, py) => {
      const key = Math.floor((px - left) / unit), query = Math.floor((py - top) / unit)
      return key >= 0 && key < columns && query >= 0 && query < rows ? [query, key] : null
    },
    settle: place => place, ...reading(chart),
  }
}

const LINE = 21, BAR = 84, BOX = 12

// What a legend has to say, in as many lines as the width asks for: the ramp, the hatching, and what sums to 1.
function legendLines(pen, chart, left) {
  const { theme, width, model: { words, cells, signed, most, marks } } = chart
  pen.font = `12px ${theme.font}`
  const wide = text => Math.ceil(pen.measureText(text).width)
  const [lowest, highest] = marks ? ["", words.open] : signed ? [number(-signed), number(signed)] : ["0", most ? number(most) : "1"]
  const items = [{ kind: "ramp", lowest, highest, room: (marks ? BOX : wide(lowest) + 5 + BAR) + 5 + wide(highest) }]
  if (cells.includes(ABSENT)) items.push({ kind: "hatch", text: words.masked, room: BOX + 6 + wide(words.masked) })
  if (words.sum) items.push({ kind: "text", text: words.sum, room: wide(words.sum) })
  const lines = [[]]
  let next = left
  for (const item of items) {
    if (next > left && next + item.room > width) {
      lines.push([])
      next = left
    }
    lines.at(-1).push({ ...item, x: Math.max(0, Math.min(next, width - item.room)) })
    next += item.room + 16
  }
  return lines
}

function drawLegend(pen, chart, left, top) {
  const { theme, model: { cells, marks } } = chart
  legendLines(pen, chart, left).forEach((line, number) => line.forEach(({ kind, text, lowest, highest, x }) => {
    const y = top + number * LINE
    if (kind === "ramp") {
      const bar = marks ? BOX : BAR, start = marks ? x : x + 5 + Math.ceil(pen.measureText(lowest).width)
      for (let step = 0; step < bar; step++) {
        pen.fillStyle = css(theme.ramp[marks ? cells.find(byte => byte !== ABSENT) ?? 0 : Math.floor(step / bar * STEPS)])
        pen.fillRect(start + step, y, 1, 12)
      }
      frame(pen, theme.border, 1, start, y, bar, 12)
      write(pen, lowest, x, y + 6, theme.quiet, "left")
      write(pen, highest, start + bar + 5, y + 6, theme.quiet, "left")
    } else if (kind === "hatch") {
      hatch(pen, theme, x, y, BOX, BOX)
      frame(pen, theme.border, 1, x, y, BOX, BOX)
      write(pen, text, x + BOX + 6, y + 6, theme.quiet, "left")
    } else write(pen, text, x, y + 6, theme.quiet, "left")
  }))
}

// ---- one head as lines ---------------------------------------------------------------------------------------------

function lines(chart) {
  const { shape: [rows, columns], cells, queries, keys, cell, words } = chart.model, { theme } = chart
  const flat = chart.width >= 640 && chart.width / Math.max(rows, columns) >= 26
  const most = Math.max(rows, columns), font = `13px ${theme.font}`
  const slot = flat ? Math.min(140, (chart.width - 70) / most) : 26
  const upright = flat && slot < 64
  const label = upright ? 84 : 26
  const long = flat ? 170 : most * slot, side = flat ? 0 : Math.min(130, Math.floor(chart.width * 0.3))
  const height = flat ? 2 * label + long : long + 30
  const pen = begin(chart, height)
  const start = count => flat ? 70 + (Math.min(most * slot, chart.width - 70) - count * slot) / 2 + slot / 2 : 30 + (most - count) * slot / 2 + slot / 2
  const from = query => flat ? [start(rows) + query * slot, label] : [side, start(rows) + query * slot]
  const to = key => flat ? [start(columns) + key * slot, label + long] : [chart.width - side, start(columns) + key * slot]
  const hot = chart.hover ?? cell

  const strokes = []
  for (let query = 0; query < rows; query++) for (let key = 0; key < columns; key++) {
    const byte = cells[query * columns + key]
    if (byte !== ABSENT && byte >= 5) strokes.push([byte / STEPS, query, key])
  }
  strokes.sort((one, other) => one[0] - other[0])
  const mine = ([, query, key]) => hot[1] === null ? query === hot[0] : hot[0] === null ? key === hot[1] : query === hot[0]
  for (const stroke of [...strokes.filter(each => !mine(each)), ...strokes.filter(mine)]) {
    const [weight, query, key] = stroke, strong = mine(stroke)
    pen.strokeStyle = fade(strong ? theme.accent : theme.primary, strong ? 0.25 + 0.75 * weight : 0.06 + 0.34 * weight)
    pen.lineWidth = strong ? 1 + 5 * weight : 0.5 + 3 * weight
    bend(pen, flat, from(query), to(key))
  }

  pen.font = font
  const put = (text, [px, py], above, ink, bold) => {
    if (!flat) return write(pen, fit(pen, text, side - 12), px + (above ? -8 : 8), py, ink, above ? "right" : "left", bold)
    if (!upright) return write(pen, fit(pen, text, slot - 8), px, py + (above ? -13 : 13), ink, "center", bold)
    pen.save()
    pen.translate(px, py + (above ? -8 : 8))
    pen.rotate(-Math.PI / 3)
    write(pen, fit(pen, text, label - 8), 0, 0, ink, above ? "left" : "right", bold)
    pen.restore()
  }
  queries.forEach((text, query) => put(text, from(query), true, query === hot[0] ? theme.text : theme.soft, query === hot[0]))
  keys.forEach((text, key) => put(text, to(key), false, key === hot[1] ? theme.text : theme.soft, key === hot[1]))
  pen.font = `600 12px ${theme.font}`
  if (flat) {
    write(pen, words.query, 0, label - 13, theme.quiet, "left")
    write(pen, words.key, 0, label + long + 13, theme.quiet, "left")
  } else {
    write(pen, words.query, side - 8, 10, theme.quiet, "right")
    write(pen, words.key, chart.width - side + 8, 10, theme.quiet, "left")
  }

  const strongest = (query, key) => {
    let best = 0, top = -1
    for (let other = 0; other < (key === null ? columns : rows); other++) {
      const byte = cells[key === null ? query * columns + other : other * columns + key]
      if (byte !== ABSENT && byte > top) [best, top] = [other, byte]
    }
    return key === null ? [query, best] : [best, key]
  }
  return {
    find: (px, py) => {
      const along = flat ? px : py, across = flat ? py : px
      const spot = count => Math.floor((along - start(count)) / slot + 0.5)
      const first = across < (flat ? label + long * 0.45 : chart.width * 0.45), index = spot(first ? rows : columns)
      if (index < 0 || index >= (first ? rows : columns)) return null
      return first ? [index, null] : [null, index]
    },
    settle: ([query, key]) => strongest(query, key),
    ...reading(chart, strongest),
  }
}

// ---- vectors, one under the other ----------------------------------------------------------------------------------

function strips(chart) {
  const { shape: [rows, channels], cells, labels, notes, cell, picks, signed, words } = chart.model, { theme } = chart
  const title = 21, bar = 18, step = title + bar + 7, edge = 2, font = `12.5px ${theme.font}`
  const legend = LINE * legendLines(chart.canvas.getContext("2d"), chart, edge).length
  const pen = begin(chart, rows * step + legend + 1), wide = chart.width - 2 * edge, unit = wide / channels
  const x = channel => edge + channel * unit, y = row => row * step + title
  for (let row = 0; row < rows; row++) {
    pen.font = font
    const room = wide - pen.measureText(notes[row]).width - 14
    write(pen, fit(pen, labels[row], room), edge, y(row) - 10, theme.soft, "left")
    write(pen, notes[row], edge + wide, y(row) - 10, theme.quiet, "right")
    paint(pen, theme, cells.subarray(row * channels, (row + 1) * channels), 1, channels, edge, y(row), wide, bar)
    frame(pen, theme.border, 1, edge, y(row), wide, bar)
  }
  if (chart.hover) frame(pen, theme.text, 1.5, x(chart.hover[1]), y(chart.hover[0]), unit, bar)
  if (picks) frame(pen, theme.accent, 2.5, x(cell[1]), y(cell[0]), unit, bar)
  drawLegend(pen, chart, edge, rows * step + 4)

  const tell = ([row, channel]) => {
    const value = number((2 * cells[row * channels + channel] / STEPS - 1) * signed)
    return [labels[row], `${words.channel} ${channel + 1}`, `${words.value} ${value}`]
  }
  return {
    find: (px, py) => {
      const row = Math.floor(py / step), channel = Math.floor((px - edge) / unit)
      return row >= 0 && row < rows && channel >= 0 && channel < channels ? [row, channel] : null
    },
    settle: place => place, tell, say: place => tell(place).join(", "),
  }
}

function bend(pen, flat, [x1, y1], [x2, y2]) {
  pen.beginPath()
  pen.moveTo(x1, y1)
  if (flat) pen.bezierCurveTo(x1, y1 + (y2 - y1) * 0.45, x2, y2 - (y2 - y1) * 0.45, x2, y2)
  else pen.bezierCurveTo(x1 + (x2 - x1) * 0.45, y1, x2 - (x2 - x1) * 0.45, y2, x2, y2)
  pen.stroke()
}

function reading(chart, strongest = (query, key) => [query, key]) {
  const { shape: [, columns], cells, queries, keys, words, signed, most = 1, marks } = chart.model
  const tell = place => {
    const [query, key] = place[0] === null || place[1] === null ? strongest(...place) : place
    const byte = cells[query * columns + key]
    const value = signed ? number((2 * byte / STEPS - 1) * signed) : (byte / STEPS * most).toFixed(2)
    const weight = byte === ABSENT ? words.masked : marks ? words.open : `${words.weight} ${value}`
    return [`${words.query}  ${queries[query]}`, `${words.key}  ${keys[key]}`, weight]
  }
  return { tell, say: place => tell(place).join(", ") }
}

// ---- drawing -------------------------------------------------------------------------------------------------------

function begin(chart, height) {
  const scale = window.devicePixelRatio || 1, { canvas, width } = chart
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)]
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high })
  canvas.style.width = `${width}px`
  canvas.style.height = `${height}px`
  const pen = canvas.getContext("2d")
  pen.setTransform(scale, 0, 0, scale, 0, 0)
  pen.clearRect(0, 0, width, height)
  pen.textBaseline = "middle"
  return pen
}

function paint(pen, theme, cells, rows, columns, x, y, width, height) {
  const image = new ImageData(columns, rows)
  for (let index = 0; index < rows * columns; index++) {
    if (cells[index] === ABSENT) continue
    image.data.set(theme.ramp[cells[index]], 4 * index)
    image.data[4 * index + 3] = 255
  }
  const small = document.createElement("canvas")
  Object.assign(small, { width: columns, height: rows })
  small.getContext("2d").putImageData(image, 0, 0)
  pen.imageSmoothingEnabled = columns > width || rows > height
  pen.drawImage(small, x, y, width, height)
}

function hatch(pen, theme, x, y, width, height) {
  pen.save()
  pen.beginPath()
  pen.rect(x, y, width, height)
  pen.clip()
  pen.strokeStyle = theme.hatch
  pen.lineWidth = 1
  for (let shift = -height; shift < width; shift += 5) segment(pen, x + shift, y + height, x + shift + height, y)
  pen.restore()
}

function light(pen, theme, [left, top, width, height], [x1, y1, x2, y2]) {
  pen.fillStyle = fade(theme.background, 0.78)
  pen.beginPath()
  pen.rect(left, top, width, height)
  pen.rect(x1, y1, x2 - x1, y2 - y1)
  pen.fill("evenodd")
  frame(pen, theme.strong, 2, x1, y1, x2 - x1, y2 - y1)
}

function strike(pen, theme, x, y, size) {
  pen.fillStyle = fade(theme.background, 0.72)
  pen.fillRect(x, y, size, size)
  pen.strokeStyle = theme.accent
  pen.lineWidth = 2
  segment(pen, x + 3, y + size - 3, x + size - 3, y + 3)
}

function corner(pen, theme, x, y) {
  pen.fillStyle = theme.accent
  pen.beginPath()
  pen.moveTo(x - 9, y)
  pen.lineTo(x, y)
  pen.lineTo(x, y + 9)
  pen.fill()
}

function segment(pen, x1, y1, x2, y2) {
  pen.beginPath()
  pen.moveTo(x1, y1)
  pen.lineTo(x2, y2)
  pen.stroke()
}

function frame(pen, ink, thick, x, y, width, height) {
  pen.strokeStyle = ink
  pen.lineWidth = thick
  pen.strokeRect(x, y, width, height)
}

function write(pen, text, x, y, ink, align, bold = false) {
  const font = pen.font
  if (bold && !font.startsWith("600")) pen.font = `600 ${font}`
  pen.fillStyle = ink
  pen.textAlign = align
  pen.direction = "ltr"
  pen.fillText(text, x, y)
  pen.font = font
}

function fit(pen, text, room) {
  if (pen.measureText(text).width <= room) return text
  const letters = [...text]
  while (letters.length > 1 && pen.measureText(letters.join("") + "…").width > room) letters.pop()
  return letters.join("") + "…"
}

function showTip(chart, rows, where) {
  const { tip, root } = chart
  tip.replaceChildren()
  tip.style.display = rows ? "block" : "none"
  if (!rows) return
  for (const row of rows) element("div", tip).textContent = row
  const right = where[0] + 16 + tip.offsetWidth > root.clientWidth
  tip.style.left = `${Math.max(0, right ? where[0] - tip.offsetWidth - 12 : where[0] + 16)}px`
  tip.style.top = `${where[1] + 14}px`
}

// ---- theme ---------------------------------------------------------------------------------------------------------

function readTheme(root, signed) {
  const style = getComputedStyle(root), value = name => style.getPropertyValue(`--st-${name}`).trim()
  const text = value("text-color") || "#222", background = value("background-color") || "#fff"
  const stops = value("chart-sequential-colors").split(/,(?![^(]*\))/).map(each => each.trim()).filter(Boolean).map(rgb)
  const colours = {
    text, background, font: value("font") || "sans-serif", primary: value("primary-color") || "#4f46e5",
    border: value("border-color") || fade(text, 0.2), accent: value("orange-color") || "#f08c00", strong: value("orange-color") || "#f08c00",
    soft: fade(text, 0.8), quiet: fade(text, 0.62), hatch: fade(text, 0.16),
    ramp: ramp(stops.length > 1 ? stops : [rgb(background), rgb(text)]),
  }
  const diverging = ramp([value("red-color") || "#e03131", background, colours.primary].map(rgb))
  return signed ? { ...colours, ramp: diverging, accent: text } : colours
}

function ramp(stops) {
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const place = step / STEPS * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2), part = place - low
    return [0, 1, 2].map(channel => Math.round(stops[low][channel] * (1 - part) + stops[low + 1][channel] * part))
  })
}

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true })

const known = new Map()

function rgb(colour) {
  if (known.has(colour)) return known.get(colour)
  probe.clearRect(0, 0, 1, 1)
  probe.fillStyle = colour
  probe.fillRect(0, 0, 1, 1)
  known.set(colour, [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)])
  return known.get(colour)
}

const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`

function fade(colour, opacity) {
  const [red, green, blue] = rgb(colour)
  return `rgb(${red} ${green} ${blue} / ${opacity})`
}

const number = value => value.toFixed(Math.abs(value) >= 10 ? 1 : 2).replace("-", "−")

const within = (index, count) => Math.max(0, Math.min(count - 1, index))

function element(tag, parent, name = "") {
  const made = document.createElement(tag)
  if (name) made.className = name
  parent.append(made)
  return made
}
