// A stepper with play, and under it what one step looks like: a translation being written, a beam's tree, lanes side by
// side, the decoder's input, the work a cache saves, a model's childhood, whose maps follow the player (heatmap.js). Python hands over all steps at once (core/charts/decoding.py), so a
// step costs no round trip; the step at rest is reported for the link. Words reach the page through textContent only.

const PACE = 1100, REST = 300
const MOMENT = "headroom-moment" // heatmap.js listens

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".headroom-player")
  if (!root || !data?.mode) return
  const player = root.player ?? (root.player = mount(root))
  player.send = setStateValue
  player.read(data)
  return () => { player.leave(); root.player = null; root.replaceChildren() }
}

const BODIES = { writing, lanes, turns, work, childhood }

function mount(root) {
  const player = { step: 1, model: null, sent: null, send: () => {} }
  const bar = element("div", root, "controls"), body = element("div", root, "body")
  const buttons = Object.fromEntries(["first", "previous", "play", "next", "last"].map(name => [name, element("button", bar, name)]))
  const slider = element("input", bar), count = element("output", bar)
  const spoken = element("div", root, "spoken")
  for (const [name, button] of Object.entries(buttons)) {
    button.type = "button"
    button.append(icon(name))
  }
  Object.assign(slider, { type: "range", min: 1, step: 1 })
  spoken.setAttribute("aria-live", "polite")
  let playing = 0, resting = 0, update = () => {}

  const show = step => {
    const { model } = player, { words } = model
    player.step = within(step, 1, model.count)
    slider.value = player.step
    slider.style.setProperty("--done", `${100 * (player.step - 1) / Math.max(1, model.count - 1)}%`)
    count.textContent = filled(words.step, { step: player.step, count: model.count, at: model.steps?.[player.step - 1] })
    for (const name of ["first", "previous"]) buttons[name].disabled = player.step === 1
    for (const name of ["next", "last"]) buttons[name].disabled = player.step === model.count
    const said = update(player.step - 1)
    if (!playing) spoken.textContent = `${count.textContent}. ${said ?? ""}`
    clearTimeout(resting)
    if (!playing) resting = setTimeout(report, REST)
  }
  const report = () => {
    if (player.step === player.sent) return
    player.sent = player.step
    player.send("step", player.step)
  }
  const stop = () => {
    clearInterval(playing)
    playing = 0
    name_play()
  }
  const play = () => {
    if (player.step === player.model.count) show(1)
    playing = setInterval(() => {
      if (player.step + 1 >= player.model.count) stop()
      show(player.step + 1)
    }, player.model.pace ?? PACE)
    name_play()
  }
  const name_play = () => {
    const name = playing ? "pause" : "play"
    buttons.play.replaceChildren(icon(name))
    label(buttons.play, player.model.words[name])
  }
  const go = step => { stop(); show(step) }

  buttons.first.onclick = () => go(1)
  buttons.previous.onclick = () => go(player.step - 1)
  buttons.next.onclick = () => go(player.step + 1)
  buttons.last.onclick = () => go(player.model.count)
  buttons.play.onclick = () => playing ? (stop(), show(player.step)) : play()
  slider.oninput = () => go(Number(slider.value))

  player.read = model => {
    const fresh = JSON.stringify({ ...model, step: 0 })
    const moved = model.step !== player.sent
    if (fresh === player.fresh && !moved) return
    if (fresh !== player.fresh) {
      stop_quietly()
      player.model = model
      player.fresh = fresh
      slider.max = model.count
      for (const name of ["first", "previous", "next", "last"]) label(buttons[name], model.words[name])
      name_play()
      slider.setAttribute("aria-label", model.words.label)
      body.replaceChildren()
      body.className = `body ${model.mode}`
      update = BODIES[model.mode](body, model)
    }
    player.sent = model.step
    show(model.step)
  }
  const stop_quietly = () => { clearInterval(playing); playing = 0 }
  player.leave = () => { stop_quietly(); clearTimeout(resting) }
  return player
}

// ---- a translation being written -----------------------------------------------------------------------------------

function writing(body, model) {
  const { words, source, read, written, texts, cross, own, candidates, tree } = model
  const line = element("div", body, "text")
  element("div", line, "ghost").textContent = texts.at(-1) || " "
  const now = element("div", line, "now")
  const columns = element("div", body, "columns")
  const left = element("div", columns, "half"), right = element("div", columns, "half")

  const heading = element("div", left, "title")
  const table = element("div", left, model.drawn ? "candidates drawn" : "candidates")
  const top = element("div", table, "row top")
  for (const name of ["", "", words.probability, ...(model.drawn ? [words.share] : [])]) element("span", top).textContent = name
  const most = Math.max(...candidates.map(each => each.pieces.length))
  const rows = Array.from({ length: most + 1 }, () => {
    const row = element("div", table, "row"), piece = element("span", row, "piece"), track = element("span", row, "track")
    const bar = element("i", track, "bar"), share = element("i", track, "bar share")
    return { row, piece, bar, share, number: element("span", row, "number"), second: element("span", row, "number second") }
  })
  const note = element("div", left, "note")

  title(right, words.cross, words.cross_null)
  const looked = chips(right, source)
  const uniform = title(right, words.own, " ")
  const back = chips(right, read)
  const drawTree = tree ? beam(body, tree, words) : () => {}

  return step => {
    const here = within(step, 0, written.length - 1), ended = step >= written.length
    const found = candidates[here]
    now.textContent = texts[here] || " "
    heading.textContent = filled(words.after, { piece: read[here] })
    rows.forEach(({ row, piece, bar, share, number, second }, index) => {
      const last = index === rows.length - 1, missing = !last && index >= found.pieces.length
      const p = last ? found.other : found.p[index], q = last ? null : found.q[index]
      row.classList.toggle("missing", missing)
      row.classList.toggle("chosen", !last && index === found.chosen)
      row.classList.toggle("out", model.drawn && !last && !missing && q === 0)
      row.classList.toggle("other", last)
      piece.textContent = last ? filled(words.other, { count: (model.vocabulary - found.pieces.length).toLocaleString("en") }) : missing ? " " : found.pieces[index]
      bar.style.width = `${missing ? 0 : 100 * p}%`
      share.style.width = `${missing || q === null ? 0 : 100 * q}%`
      number.textContent = missing ? " " : probability(p)
      second.textContent = missing || q === null ? " " : q === 0 ? words.out : probability(q)
    })
    note.textContent = model.drawn
      ? filled(words.lot, { number: found.number.toFixed(4), low: found.low.toFixed(4), high: found.high.toFixed(4), piece: written[here] })
      : filled(words.chosen, { piece: written[here], probability: probability(found.p[found.chosen]) })
    if (ended) note.textContent = words.finished
    weigh(looked, cross[here], source.length)
    weigh(back, own[here], here + 1)
    uniform.textContent = ` ${filled(words.own_null, { weight: (1 / (here + 1)).toFixed(2) })}`
    drawTree(step)
    return `${heading.textContent} ${note.textContent}`
  }
}

function title(parent, text, note) {
  const line = element("div", parent, "title")
  line.textContent = text
  const quiet = element("span", line, "quiet")
  quiet.textContent = ` ${note}`
  return quiet
}

function chips(parent, pieces) {
  const row = element("div", parent, "chips")
  return pieces.map(piece => {
    const chip = element("span", row, "chip"), name = element("b", chip)
    name.textContent = piece
    return { chip, weight: element("small", chip) }
  })
}

function weigh(row, weights, count) {
  row.forEach(({ chip, weight }, index) => {
    const there = index < count
    chip.classList.toggle("absent", !there)
    chip.style.setProperty("--weight", there ? `${Math.round(60 * weights[index])}%` : "0%")
    weight.textContent = there ? weights[index].toFixed(2) : "–"
  })
}

// ---- the tree of a beam --------------------------------------------------------------------------------------------

const WIDE = 116, BOX = 78, HIGH = 40, TALL = 32

function beam(body, tree, words) {
  title(body, words.tree, "")
  const frame = element("div", body, "scroll tree")
  const most = Math.max(...tree.map(step => step.length)), height = most * HIGH + 8
  const svg = drawn("svg", frame, { width: tree.length * WIDE + 8, height, role: "img" })
  svg.setAttribute("aria-label", words.tree)
  const at = (step, rank) => [4 + step * WIDE, 4 + rank * HIGH]
  const columns = tree.map((branches, step) => {
    const group = drawn("g", svg)
    branches.forEach((branch, rank) => {
      const [x, y] = at(step, rank), kind = branch.best ? `${branch.fate} best` : branch.fate
      if (step) {
        const [px, py] = at(step - 1, branch.parent), middle = (px + BOX + x) / 2
        const path = `M${px + BOX},${py + TALL / 2} C${middle},${py + TALL / 2} ${middle},${y + TALL / 2} ${x},${y + TALL / 2}`
        drawn("path", group, { d: path, class: kind })
      }
      const node = drawn("g", group, { class: kind })
      drawn("rect", node, { x, y, width: BOX, height: TALL, rx: 7 })
      drawn("text", node, { x: x + BOX / 2, y: y + 14 }).textContent = shortened(branch.piece, 9)
      drawn("text", node, { x: x + BOX / 2, y: y + 26, class: "small" }).textContent = branch.fate === "ended" ? `${signed(branch.p, 2)} → ${signed(branch.score, 2)}` : signed(branch.p, 2)
      const tip = { text: branch.text, p: signed(branch.p, 3), score: signed(branch.score, 3), fate: words[branch.fate] }
      drawn("title", node).textContent = filled(words.branch, tip)
    })
    return group
  })
  const legend = element("div", body, "legend")
  for (const fate of ["best", "kept", "ended", "pruned"]) {
    const item = element("span", legend, fate)
    element("i", item)
    item.append(words[fate])
  }
  return step => {
    columns.forEach((group, index) => group.setAttribute("class", index > step ? "future" : index === step ? "now" : "past"))
    follow(frame, at(step, 0)[0], WIDE)
  }
}

// ---- lanes side by side --------------------------------------------------------------------------------------------

function lanes(body, model) {
  const frame = element("div", body, "scroll"), { words } = model
  const rows = model.lanes.map(lane => {
    const heading = element("div", frame, "lane-title")
    element("b", heading).textContent = lane.title
    element("span", heading, "quiet").textContent = ` ${lane.note}`
    const strip = element("div", frame, "lane")
    return lane.cells.map(cell => {
      const box = element("div", strip, "cell"), read = element("span", box, `token read ${cell.kind}`)
      read.textContent = cell.read
      element("span", box, "arrow").textContent = "↓"
      const next = element("span", box, `token ${cell.right ? "right" : "wrong"}`)
      next.textContent = cell.expected
      element("small", box).textContent = signed(cell.p, 2)
      return box
    })
  })
  const key = element("div", body, "legend")
  for (const [name, text] of Object.entries(words.key)) {
    const item = element("span", key, name)
    element("i", item)
    item.append(text)
  }
  return step => {
    rows.forEach(boxes => boxes.forEach((box, index) => {
      box.classList.toggle("later", index > step)
      box.classList.toggle("now", index === step)
    }))
    const box = rows[0][Math.min(step, rows[0].length - 1)]
    if (box) follow(frame, box.offsetLeft, box.offsetWidth)
    return model.lanes.map(({ title, cells }) => cells[step] && `${title}: ${cells[step].read} → ${cells[step].expected}`).filter(Boolean).join("; ")
  }
}

// ---- what the decoder reads ----------------------------------------------------------------------------------------

function turns(body, model) {
  const { words } = model
  const columns = element("div", body, "columns")
  const panels = model.panels.map(panel => {
    const half = element("div", columns, "half")
    title(half, panel.title, "")
    const frame = element("div", half, "scroll"), table = element("table", frame, panel.all ? "all" : "")
    const rows = panel.next.map((next, row) => {
      const line = element("tr", table)
      element("th", line).textContent = row + 1
      panel.read.slice(0, panel.all ? undefined : row + 1).forEach((piece, column) => {
        element("td", line, column > row ? "hidden" : column === row ? "newest" : "").textContent = piece
      })
      element("td", line, "arrow").textContent = "→"
      element("td", line, "next").textContent = next
      return line
    })
    const count = element("div", half, "note")
    return { panel, rows, count, frame }
  })
  return step => {
    for (const { panel, rows, count } of panels) {
      rows.forEach((line, row) => {
        line.classList.toggle("later", !panel.all && row > step)
        line.classList.toggle("now", row === step)
      })
      count.textContent = panel.all ? panel.note : filled(panel.note, { step: step + 1 })
    }
    return panels.map(({ panel, count }) => `${panel.title}: ${count.textContent}`).join(" ")
  }
}

// ---- what a step computes, with a cache and without ----------------------------------------------------------------

function work(body, model) {
  const table = element("table", body), head = element("tr", table)
  for (const name of ["", model.words.kept, model.words.anew]) element("th", head).textContent = name
  const rows = model.tensors.map(tensor => {
    const line = element("tr", table)
    element("th", line).textContent = tensor.name
    return [element("td", line), element("td", line)].map(cell => ({ numbers: element("span", cell, "numbers"), squares: element("span", cell, "squares") }))
  })
  return step => {
    model.tensors.forEach((tensor, index) => {
      [tensor.kept[step], tensor.anew[step]].forEach(([text, computed, recalled], side) => {
        const { numbers, squares } = rows[index][side]
        numbers.textContent = text
        squares.replaceChildren(...Array.from({ length: computed + recalled }, (_, place) => {
          const square = document.createElement("i")
          square.className = place < recalled ? "recalled" : "computed"
          return square
        }))
      })
    })
    return model.tensors.map((tensor) => `${tensor.name}: ${tensor.kept[step][0]} / ${tensor.anew[step][0]}`).join("; ")
  }
}

// ---- a model's childhood -------------------------------------------------------------------------------------------

function childhood(body, model) {
  const { words, texts, notes, steps, panels } = model
  title(body, words.translation, "")
  const line = element("div", body, "text")
  for (const text of texts) element("div", line, "ghost").textContent = text || " "
  const now = element("div", line, "now"), note = element("div", body, "note"), columns = element("div", body, "columns")
  const movers = panels.map(panel => plot(element("div", columns, "half"), panel, steps, words.axis))
  return step => {
    now.textContent = texts[step] || " "
    note.textContent = notes[step]
    movers.forEach(move => move(step))
    window.headroomMoments = { ...window.headroomMoments, [model.name]: step + 1 }
    window.dispatchEvent(new CustomEvent(MOMENT, { detail: model.name }))
    return `${texts[step]} ${notes[step]}`
  }
}

const TALL_PLOT = 190, EDGES = { left: 40, right: 12, top: 8, bottom: 34 }

function plot(parent, panel, steps, axis) {
  title(parent, panel.title, "")
  const legend = element("div", parent, "legend"), frame = element("div", parent, "plot")
  panel.series.forEach((series, index) => {
    const item = element("span", legend, `series-${index}`)
    element("i", item)
    item.append(series.name)
  })
  let step = 0, mark = () => {}
  const draw = () => {
    frame.replaceChildren()
    const width = Math.max(240, frame.clientWidth), { left, right, top, bottom } = EDGES
    const svg = drawn("svg", frame, { width, height: TALL_PLOT, role: "img", "aria-label": panel.title })
    const span = Math.log(steps.at(-1)) || 1
    const x = at => left + (width - left - right) * Math.log(Math.max(1, at)) / span
    const y = value => TALL_PLOT - bottom - (TALL_PLOT - top - bottom) * (value - panel.low) / (panel.high - panel.low)
    for (const tick of panel.ticks) {
      drawn("line", svg, { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: "rule" })
      drawn("text", svg, { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }).textContent = tick
    }
    for (let tick = 1; tick <= steps.at(-1); tick *= 10) drawn("text", svg, { x: x(tick), y: TALL_PLOT - bottom + 15, "text-anchor": "middle" }).textContent = tick.toLocaleString("en")
    drawn("text", svg, { x: width - right, y: TALL_PLOT - 4, "text-anchor": "end" }).textContent = `${axis} →`
    for (const [name, value] of Object.entries(panel.levels)) {
      drawn("line", svg, { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "level" })
      drawn("text", svg, { x: width - right, y: y(value) - 4, "text-anchor": "end" }).textContent = name
    }
    const marker = drawn("line", svg, { y1: top, y2: TALL_PLOT - bottom, class: "marker" })
    const dots = panel.series.map((series, index) => {
      const group = drawn("g", svg, { class: `series-${index}` })
      const path = series.points.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("")
      drawn("path", group, { d: path, class: series.dots ? "thin" : "" })
      const points = series.dots ? series.points.map(([at, value]) => drawn("circle", group, { cx: x(at), cy: y(value), r: 3 })) : []
      return points.length === steps.length ? points : []
    })
    mark = () => {
      for (const end of ["x1", "x2"]) marker.setAttribute(end, x(steps[step]))
      dots.forEach(points => points.forEach((point, place) => point.setAttribute("r", place === step ? 6 : 3)))
    }
    mark()
  }
  new ResizeObserver(() => frame.clientWidth && frame.clientWidth !== frame.drawn && (frame.drawn = frame.clientWidth, draw())).observe(frame)
  draw()
  return moment => { step = moment; mark() }
}

// ---- small things --------------------------------------------------------------------------------------------------

function follow(frame, left, width) {
  const room = Math.min(width, frame.clientWidth / 4), first = left - room, last = left + width + room - frame.clientWidth
  const wanted = first < frame.scrollLeft ? first : last > frame.scrollLeft ? last : null
  if (wanted === null) return
  frame.scrollTo({ left: wanted, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth" })
}

const within = (value, low, high) => Math.max(low, Math.min(high, value))

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "")

const probability = p => p >= 0.0995 || p === 0 ? p.toFixed(3) : p >= 0.001 ? p.toFixed(4) : p.toExponential(0).replace("-", "−")

const signed = (value, digits) => value.toFixed(digits).replace("-", "−")

const shortened = (text, most) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text

function label(button, text) {
  button.setAttribute("aria-label", text)
  button.title = text
}

function element(tag, parent, name = "") {
  const made = document.createElement(tag)
  if (name) made.className = name
  parent.append(made)
  return made
}

function drawn(tag, parent, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  parent.append(made)
  return made
}

const ICONS = {
  first: "M6 5v14M19 5l-9 7 9 7z", previous: "M16 5l-9 7 9 7z", play: "M7 4l13 8-13 8z", pause: "M7 5h3v14H7zM14 5h3v14h-3z",
  next: "M8 5l9 7-9 7z", last: "M18 5v14M5 5l9 7-9 7z",
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 24 24")
  drawn("path", svg, { d: ICONS[name] })
  return svg
}
