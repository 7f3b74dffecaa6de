// The model: face crops in, calibrated probabilities out, as the Python package computes them (inference.runtime).
import * as ort from './ort.wasm.min.mjs'

ort.env.logLevel = 'error'
ort.env.wasm.numThreads = 1
ort.env.wasm.wasmPaths = './'

// Where each pixel of the network's input lies in a face: Float32Array [views * size * size * 2].
function grids({ size, resize }, views) {
  const part = size / resize, out = new Float32Array(views.length * size * size * 2)
  let i = 0
  for (const [x, y, mirror, degrees] of views) {
    const cos = Math.cos(degrees * Math.PI / 180), sin = Math.sin(degrees * Math.PI / 180)
    for (let r = 0; r < size; r++)
      for (let c = 0; c < size; c++) {
        const u = mirror * ((2 * c + 1) / size - 1), v = (2 * r + 1) / size - 1
        out[i++] = part * (cos * u - sin * v) + (1 - part) * x
        out[i++] = part * (sin * u + cos * v) + (1 - part) * y
      }
  }
  return new ort.Tensor('float32', out, [views.length, size, size, 2])
}

function softmax(values) {
  const top = Math.max(...values), e = values.map(v => Math.exp(v - top)), sum = e.reduce((a, b) => a + b, 0)
  return e.map(v => v / sum)
}

// The mean over the views, then temperature scaling.
function tempered(views, temperature) {
  const mean = views[0].map((_, k) => views.reduce((s, p) => s + p[k], 0) / views.length)
  return softmax(mean.map(p => Math.log(Math.max(p, 1e-12)) / temperature))
}

export async function openModel() {
  const spec = await (await fetch('model.json')).json()
  const session = await ort.InferenceSession.create('model.onnx', { executionProviders: ['wasm'] })
  const views = Object.fromEntries(Object.entries(spec.views).map(([name, v]) => [name, grids(spec, v)]))

  // Crops (Uint8Array [crop * crop] each) to probabilities; `name`: 'photo' or 'camera', whose views are averaged.
  async function probabilities(crops, name = 'photo') {
    if (!crops.length) return []
    const n = crops.length, side = spec.crop, faces = new Uint8Array(n * side * side)
    crops.forEach((crop, i) => faces.set(crop, i * side * side))
    const input = { faces: new ort.Tensor('uint8', faces, [n, side, side]), views: views[name] }
    const { logits } = await session.run(input, ['logits'])
    const [, v, c] = logits.dims, values = Array.from(logits.data)
    const rows = Array.from({ length: n * v }, (_, i) => softmax(values.slice(i * c, (i + 1) * c)))
    return crops.map((_, i) => tempered(rows.slice(i * v, (i + 1) * v), spec.temperature[name]))
  }
  return { spec, probabilities }
}
