// Finding faces, near and far, as the Python package does it (data.detection), with MediaPipe's networks.
import { FaceDetector, FilesetResolver } from './vision_bundle.mjs'

const SMALL = 192, CLOSE = .5, WINDOW = 160, AGAIN = .1, IN_WINDOW = .2, SURE = .5

export async function openDetectors() {
  const files = await FilesetResolver.forVisionTasks('.')
  const start = async file => FaceDetector.createFromOptions(files, {
    baseOptions: { modelAssetPath: file, delegate: 'CPU' }, runningMode: 'IMAGE', minDetectionConfidence: SURE })
  return { short: await start('face_short.tflite'), full: await start('face_full.tflite') }
}

const moved = (f, dx, dy) => ({ ...f, x: f.x + dx, y: f.y + dy, eyes: f.eyes.map(([x, y]) => [x + dx, y + dy]) })

function look(network, canvas, least) {
  const { width, height } = canvas
  return network.detect(canvas).detections.map(({ boundingBox: b, keypoints, categories }) => ({
    x: b.originX, y: b.originY, width: b.width, height: b.height, score: categories[0].score,
    eyes: keypoints.slice(0, 2).map(k => [k.x * width, k.y * height]).sort((a, b) => a[0] - b[0]),
  })).filter(f => f.score >= least)
}

// The box that the short-range network would give.
function asShort(f) {
  const side = Math.round(f.width / 1.05)
  const x = f.x + (f.width - side) / 2, y = f.y + (f.height - side) / 2 + .068 * side
  return { ...f, x: Math.round(x), y: Math.round(y), width: side, height: side }
}

function part(canvas, x, y, width, height) {
  const out = new OffscreenCanvas(width, height), context = out.getContext('2d')
  context.fillRect(0, 0, width, height)
  context.drawImage(canvas, -x, -y)
  return out
}

function starts(n, side) {
  const count = Math.max(1, Math.ceil(2 * n / side) - 1), end = Math.max(0, n - side)
  return Array.from({ length: count }, (_, i) => Math.trunc(count > 1 ? end * i / (count - 1) : 0))
}

function inWindows(canvas, parts, see) {
  const side = Math.floor(Math.max(canvas.width, canvas.height) / parts), found = []
  if (side < WINDOW) return found
  for (const y of starts(canvas.height, side))
    for (const x of starts(canvas.width, side)) {
      const wide = Math.min(side, canvas.width - x), high = Math.min(side, canvas.height - y)
      found.push(...see(part(canvas, x, y, wide, high)).map(f => moved(f, x, y)))
    }
  return found
}

function shared(a, b) {
  const common = (p, s) => Math.max(0, Math.min(a[p] + a[s], b[p] + b[s]) - Math.max(a[p], b[p]))
  const smaller = Math.max(1, Math.min(a.width * a.height, b.width * b.height))
  return common('x', 'width') * common('y', 'height') / smaller
}

function distinct(faces) {
  const kept = []
  for (const f of faces.sort((a, b) => b.score - a.score)) if (kept.every(k => shared(f, k) < .3)) kept.push(f)
  return kept.sort((a, b) => b.width * b.height - a.width * a.height)
}

// The faces in an image (a canvas), largest first; `windows`: look for far ones, where nobody was found.
export function findFaces({ short, full }, canvas, windows = true) {
  const near = c => look(short, c, SURE + AGAIN), far = surer => c => look(full, c, SURE + surer).map(asShort)
  const shorter = Math.min(canvas.width, canvas.height), longer = Math.max(canvas.width, canvas.height)
  let faces = look(short, canvas, SURE)
  const closeUp = faces.some(f => f.width >= CLOSE * shorter)
  if (longer > SMALL && !closeUp) faces = [...faces, ...far(AGAIN)(canvas), ...inWindows(canvas, 2, near)]
  if (!faces.length) {
    const edge = Math.floor(longer / 4)
    const framed = part(canvas, -edge, -edge, canvas.width + 2 * edge, canvas.height + 2 * edge)
    faces = near(framed).map(f => moved(f, -edge, -edge))
  }
  if (!faces.length && windows)
    faces = [...inWindows(canvas, 2, far(IN_WINDOW)), ...inWindows(canvas, 4, far(IN_WINDOW))]
  return distinct(faces)
}
