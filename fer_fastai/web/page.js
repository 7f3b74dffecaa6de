// What the page shows, and what it does with an image or the camera.
import { openModel } from './emotions.js'
import { findFaces, openDetectors } from './detect.js'
import { cropFace, fitCrop, grey, isCrop } from './crop.js'

const COLOURS = ['#2f6fde', '#d9480f', '#2b8a3e', '#ae3ec9', '#c2255c', '#0b7285']
const MOST = 2048, CAMERA = 640                      // pixels of the longer side that are looked at
const SMOOTH = .5                                    // seconds of smoothing, as in fer_video
const at = id => document.getElementById(id)
const stage = at('stage'), canvas = at('image'), notice = at('notice'), list = at('faces')

function say(text) {
  notice.textContent = text
  notice.hidden = !text
}

function drawn(source, width, height, most) {
  const scale = Math.min(1, most / Math.max(width, height))
  const out = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)))
  const context = out.getContext('2d', { willReadFrequently: true })
  context.imageSmoothingQuality = 'high'
  context.fillStyle = '#fff'                         // what is transparent is white, as for the Predictor
  context.fillRect(0, 0, out.width, out.height)
  context.drawImage(source, 0, 0, out.width, out.height)
  return out
}

// The faces of a canvas with their crops and probabilities.
async function read({ model, detectors }, image, isFace, camera) {
  const size = model.spec.crop, whole = grey(image.getContext('2d').getImageData(0, 0, image.width, image.height))
  const crop = isFace || !camera && isCrop(whole)
  const faces = crop ? [{}] : findFaces(detectors, image, !camera)
  const crops = faces.map(f => crop ? fitCrop(whole, size) : cropFace(whole, f, size))
  const probabilities = await model.probabilities(crops, camera ? 'camera' : 'photo')
  return faces.map((f, i) => ({ ...f, crop: crops[i], probabilities: probabilities[i] }))
}

function clear() {
  canvas.width = canvas.height = 0
  canvas.removeAttribute('aria-label')
  at('hint').hidden = false
  list.replaceChildren()
}

function show(image, faces) {
  canvas.width = image.width
  canvas.height = image.height
  at('hint').hidden = true
  const context = canvas.getContext('2d'), thick = Math.max(2, Math.max(image.width, image.height) / 250)
  context.drawImage(image, 0, 0)
  faces.forEach((f, i) => {
    if (f.x === undefined) return
    const colour = COLOURS[i % COLOURS.length]
    Object.assign(context, { strokeStyle: colour, lineWidth: thick, fillStyle: colour })
    context.strokeRect(f.x, f.y, f.width, f.height)
    if (faces.length === 1) return
    context.fillRect(f.x, f.y, 7 * thick, 7 * thick)
    Object.assign(context, { fillStyle: '#fff', font: `${5.5 * thick}px sans-serif`, textAlign: 'center', textBaseline: 'middle' })
    context.fillText(i + 1, f.x + 3.5 * thick, f.y + 3.5 * thick)
  })
}

function element(name, className, text) {
  const out = document.createElement(name)
  if (className) out.className = className
  if (text !== undefined) out.textContent = text
  return out
}

function thumbnail(crop, size) {
  const out = element('canvas'), pixels = new ImageData(size, size)
  out.width = out.height = size
  crop.forEach((v, i) => pixels.data.set([v, v, v, 255], 4 * i))
  out.getContext('2d').putImageData(pixels, 0, 0)
  out.setAttribute('aria-label', 'the face as the model sees it')
  return out
}

const likeliest = face => face.probabilities.indexOf(Math.max(...face.probabilities))
const percent = p => `${Math.round(100 * p)} %`

function card({ spec }, face, i, alone) {
  const out = element('div', 'face'), head = element('div', 'head'), words = element('div')
  const best = likeliest(face), sure = face.probabilities[best]
  out.style.setProperty('--colour', COLOURS[i % COLOURS.length])
  words.append(element('h2', '', `${alone ? '' : `${i + 1}. `}${spec.vocab[best]}`))
  words.append(element('p', '', sure < spec.uncertain ? `uncertain: the likeliest has ${percent(sure)}` : percent(sure)))
  head.append(thumbnail(face.crop, spec.crop), words)
  out.append(head)
  spec.vocab.forEach((name, k) => {
    const row = element('div', k === best ? 'row best' : 'row'), bar = element('div', 'bar'), fill = element('i')
    fill.style.width = `${100 * face.probabilities[k]}%`
    bar.append(fill)
    row.append(element('span', '', name), bar, element('b', '', percent(face.probabilities[k])))
    out.append(row)
  })
  return out
}

function answer(tools, image, faces) {
  const names = faces.map(f => tools.model.spec.vocab[likeliest(f)])
  show(image, faces)
  canvas.setAttribute('aria-label', `The image; faces: ${names.join(', ') || 'none'}`)
  say(faces.length ? '' : 'No face was found. Try one that is larger, upright and looks at the camera; or tick “It is a face already”.')
  list.replaceChildren(...faces.map((f, i) => card(tools.model, f, i, faces.length === 1)))
}

// ---- an image

let last = null, turn = 0                            // the image; what was asked for last: older answers are dropped

async function look(tools, file) {
  stop()
  last = null
  clear()
  say('Looking …')
  const mine = turn
  let image
  try { image = await createImageBitmap(file) }
  catch {
    if (mine === turn) say(`${file.name || 'This'} is not an image that this browser can read. Take a JPEG, PNG or WebP.`)
    return
  }
  if (mine === turn) last = drawn(image, image.width, image.height, MOST)
  image.close()
  if (mine === turn) await again(tools)
}

async function again(tools) {
  if (!last || watching) return
  const mine = ++turn
  try {
    const faces = await read(tools, last, at('crop').checked, false)
    if (mine === turn) answer(tools, last, faces)
  } catch (e) { failed(mine, e) }
}

function failed(mine, e) {
  if (mine !== turn) return
  stop()
  say(`That did not work (${e.message ?? e}). Reload the page.`)
}

// ---- the camera

let stream = null, watching = false                  // watching: also while the browser asks for leave

function press(on) {
  watching = on
  at('camera').textContent = on ? 'Stop the camera' : 'Use the camera'
  at('camera').setAttribute('aria-pressed', on)
  at('answer').setAttribute('aria-live', on ? 'off' : 'polite')       // nobody wants each frame read out
}

function stop() {
  turn++
  stream?.getTracks().forEach(t => t.stop())
  stream = null
  press(false)
}

function nearest(faces, old) {
  const far = (a, b) => Math.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2)
  return f => old.filter(o => far(o, f) < f.width / 2).sort((a, b) => far(a, f) - far(b, f))[0]
}

function smoothed(faces, old, seconds) {
  const before = nearest(faces, old), share = 1 - Math.exp(-seconds / SMOOTH)
  return faces.map(f => {
    const was = before(f)
    if (!was) return f
    return { ...f, probabilities: f.probabilities.map((p, k) => was.probabilities[k] + share * (p - was.probabilities[k])) }
  })
}

async function watch(tools) {
  if (watching) return stop()
  stop()
  press(true)
  const mine = turn, video = document.createElement('video')
  let got
  try { got = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user', width: CAMERA } }) }
  catch (e) {
    if (mine !== turn) return
    stop()
    last = null
    clear()
    return say(`The camera can't be used (${e.name}). Allow it for this page, and open the page over https or on localhost.`)
  }
  if (mine !== turn) return got.getTracks().forEach(t => t.stop())
  stream = got
  last = null
  got.getVideoTracks()[0].addEventListener('ended', () => {
    if (mine !== turn) return
    stop()
    say('The camera gives no more images.')
  })
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true })
  try {
    await video.play()
    await follow(tools, video, mine)
  } catch (e) { failed(mine, e) }
}

async function follow(tools, video, mine) {
  let faces = [], then = performance.now()
  while (mine === turn) {
    const image = drawn(video, video.videoWidth, video.videoHeight, CAMERA), now = performance.now()
    faces = smoothed(await read(tools, image, false, true), faces, (now - then) / 1000)
    then = now
    if (mine === turn) answer(tools, image, faces)
    await new Promise(requestAnimationFrame)
  }
}

// ---- start

function wire(tools) {
  const given = files => files?.length && look(tools, files[0])
  at('file').addEventListener('change', e => { given(e.target.files); e.target.value = '' })
  at('camera').addEventListener('click', () => watch(tools))
  at('crop').addEventListener('change', () => again(tools))
  addEventListener('paste', e => given(e.clipboardData.files))
  addEventListener('dragover', e => { e.preventDefault(); stage.classList.add('over') })
  addEventListener('dragleave', () => stage.classList.remove('over'))
  addEventListener('drop', e => { e.preventDefault(); stage.classList.remove('over'); given(e.dataTransfer.files) })
}

async function open() {
  try {
    const [model, detectors] = await Promise.all([openModel(), openDetectors()])
    const tools = { model, detectors }
    const { name, version } = model.spec
    at('model').textContent = `Model ${name}, fer_fastai ${version}.`
    wire(tools)
    say('Ready. Choose an image.')
    document.body.dataset.ready = 'yes'
    return tools
  } catch (e) {
    say(`The models can't be loaded (${e.message ?? e}). Reload the page; it wants a current browser, and a server: opened as a file it can't work.`)
    throw e
  }
}

export const opened = open()
export { cropFace, drawn, fitCrop, grey, read }
