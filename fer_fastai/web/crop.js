// From an image to grey face crops, step by step as the Python package does it (data.cropping): the same rounding as
// Pillow's, so that both give the same crop.

const clamp = (v, low, high) => Math.min(Math.max(v, low), high)

// A grey image: {data: Uint8Array, width, height}.
export function grey({ data, width, height }) {
  const out = new Uint8Array(width * height)
  for (let i = 0; i < out.length; i++)
    out[i] = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000) >> 16
  return { data: out, width, height }
}

// Which pixels each pixel of a resized line is made of, with weights in units of 2^-22.
function shares(from, to, count, length) {
  const scale = (to - from) / count, wide = Math.max(scale, 1)
  const box = scale >= 1, reach = (box ? .5 : 2) * wide
  const weight = box ? x => (x > -.5 && x <= .5 ? 1 : 0) : cubic
  return Array.from({ length: count }, (_, i) => {
    const centre = from + (i + .5) * scale
    const first = Math.max(0, Math.trunc(centre - reach + .5))
    const last = Math.min(length, Math.trunc(centre + reach + .5))
    const raw = Array.from({ length: last - first }, (_, k) => weight((k + first - centre + .5) / wide))
    const sum = raw.reduce((a, b) => a + b, 0)
    return { first, weights: raw.map(w => Math.trunc(w / sum * 2 ** 22 + (w < 0 ? -.5 : .5))) }
  })
}

function cubic(x) {
  const a = -.5
  x = Math.abs(x)
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
}

// The square of this side at (x, y), resized to `size` pixels.
export function square(im, x, y, side, size) {
  const across = shares(x, x + side, size, im.width), down = shares(y, y + side, size, im.height)
  const rows = new Uint8Array(size * im.height), out = new Uint8Array(size * size)
  const round = sum => clamp((sum + 2 ** 21) / 2 ** 22 | 0, 0, 255)
  const top = down[0].first, end = down[size - 1].first + down[size - 1].weights.length
  for (let r = top; r < end; r++)
    across.forEach(({ first, weights }, c) => {
      rows[r * size + c] = round(weights.reduce((s, w, k) => s + w * im.data[r * im.width + first + k], 0))
    })
  down.forEach(({ first, weights }, r) => {
    for (let c = 0; c < size; c++)
      out[r * size + c] = round(weights.reduce((s, w, k) => s + w * rows[(first + k) * size + c], 0))
  })
  return out
}

// Turned about its middle, counter-clockwise by degrees; black where there is nothing.
function turned(im, degrees) {
  if (degrees === 0) return im
  const { width, height, data } = im, out = new Uint8Array(width * height)
  const cos = Math.cos(-degrees * Math.PI / 180), sin = Math.sin(-degrees * Math.PI / 180)
  const cx = width / 2, cy = height / 2
  const at = (x, y) => data[clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1)]
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const u = x + .5 - cx, v = y + .5 - cy
      const sx = cos * u + sin * v + cx, sy = -sin * u + cos * v + cy
      if (sx < 0 || sx >= width || sy < 0 || sy >= height) continue
      const left = Math.floor(sx - .5), top = Math.floor(sy - .5), dx = sx - .5 - left, dy = sy - .5 - top
      const upper = at(left, top) + (at(left + 1, top) - at(left, top)) * dx
      const lower = at(left, top + 1) + (at(left + 1, top + 1) - at(left, top + 1)) * dx
      out[y * width + x] = upper + (lower - upper) * dy
    }
  return { data: out, width, height }
}

// One face, upright, square and grey: Uint8Array [size * size].
export function cropFace(image, face, size, margin = .2, above = .07) {
  const side = Math.max(8, Math.round(Math.max(face.width, face.height) * (1 + margin)))
  const half = Math.ceil(side * (.75 + above)), block = new Uint8Array(4 * half * half)
  const cx = face.x + Math.floor(face.width / 2), cy = face.y + Math.floor(face.height / 2)
  for (let r = 0; r < 2 * half; r++)
    for (let c = 0; c < 2 * half; c++) {
      const y = clamp(cy - half + r, 0, image.height - 1), x = clamp(cx - half + c, 0, image.width - 1)
      block[r * 2 * half + c] = image.data[y * image.width + x]
    }
  const [[x0, y0], [x1, y1]] = face.eyes
  const degrees = Math.atan2(y1 - y0, x1 - x0) * 180 / Math.PI
  const im = turned({ data: block, width: 2 * half, height: 2 * half }, degrees)
  const start = half - side / 2
  return square(im, start, start - above * side, side, size)
}

// The middle square of an image that is a face already.
export function fitCrop(image, size) {
  const { width, height, data } = image
  if (width === size && height === size) return data
  const side = Math.min(width, height)
  return square(image, (width - side) / 2, (height - side) / 2, side, size)
}

export const isCrop = ({ width, height }) => width === height && width <= 224
