"""What 8 bits cost, here and on a processor without VNNI: the packaged model, and other ways to quantise the same network.

    python benchmarks/int8.py data/fer2013.csv                # writes results/int8.json
    python benchmarks/int8.py --check                         # the packaged models alone, on the hundred real faces that come with scikit-image;
                                                              # fails where they answer otherwise than in floats. These have no labels

A processor without VNNI is emulated by qemu-x86_64 (Debian: qemu-user, from 7.2 on), on the first --emulated faces and one view;
where there is none, that part is left out. Speed is of one thread.
"""
import argparse, os, shutil, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np, onnx
from onnxruntime.quantization import QuantType
from PIL import Image
from fer_fastai.models.locate import SHIPPED
from fer_fastai.data.views import view_grids
from fer_fastai.files import write_json
from fer_fastai.inference.onnx import EQUAL, _calibration, _quantised, _quiet, int8_cost, largest_pair
from fer_fastai.inference.runtime import OnnxModel
from fer_fastai.data.readers import read_faces
from fer_fastai.evaluation.records import surroundings

WAYS = {
    '8-bit weights': dict(reduce_range=False),
    '7-bit weights, one scale a layer': dict(per_channel=False),
    'unsigned weights': dict(reduce_range=False, weight_type=QuantType.QUInt8),
    'signed activations': dict(reduce_range=False, activation_type=QuantType.QInt8),
}
WITHOUT_VNNI = 'AVX2, emulated'
WORKER = '''
import sys, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level, options.intra_op_num_threads = 4, 1
session, given = ort.InferenceSession(sys.argv[1], options), np.load(sys.argv[2])
faces, views = given['faces'], given['views']
np.save(sys.argv[3], np.concatenate([session.run(['probabilities'], dict(faces=faces[i:i + 32], views=views))[0] for i in range(0, len(faces), 32)]))
'''

def emulated(path, faces, views):
    "The probabilities that a processor without VNNI gives."
    with tempfile.TemporaryDirectory() as d:
        np.savez(f'{d}/given.npz', faces=faces, views=views)
        command = ['qemu-x86_64', '-cpu', 'Haswell-noTSX', os.path.realpath(sys.executable), '-c', WORKER, str(path), f'{d}/given.npz', f'{d}/said.npy']
        run = subprocess.run(command, env=os.environ | dict(PYTHONPATH=os.pathsep.join(sys.path[1:]), OMP_NUM_THREADS='1'), capture_output=True, text=True)
        if run.returncode: sys.exit(f'the emulation failed: {run.stderr.strip()[-400:]}')
        return np.load(f'{d}/said.npy')

def rows(path, floats, part, n):
    "What a file costs with one view and with ten crops, here, and without VNNI."
    model, said = OnnxModel(path), {}
    for tta in floats:
        start = time.perf_counter()
        eights = model.probabilities(part.pixels, tta, 64, False)
        speed = dict(faces_per_second=round(len(part) / (time.perf_counter() - start)))
        said[f'{tta}, here'] = speed | int8_cost(floats[tta], eights, part.labels, part.vocab, strict=False)
    if n and shutil.which('qemu-x86_64'):
        eights = emulated(path, part.pixels[:n], view_grids(model.spec))
        said['none, without VNNI'] = int8_cost(floats['none'][:n], eights, part.labels[:n], part.vocab, strict=False) | dict(instruction_set=WITHOUT_VNNI)
    return said | dict(largest_pair=largest_pair(onnx.load(path)))

def check(n):
    "The packaged models, here and without VNNI, on faces without labels; ends the program where too many answers differ."
    from skimage import data
    pixels = np.stack([np.asarray(Image.fromarray(f).resize((48, 48), Image.Resampling.BICUBIC)) for f in (255 * data.lfw_subset()[:100]).astype(np.uint8)])
    for name in ('quick', 'quick_plus'):
        whole, eight = (OnnxModel(SHIPPED[name].with_name(f'{name}{end}.onnx')) for end in ('', '_int8'))
        floats = {tta: whole.probabilities(pixels, tta, 64, False) for tta in ('none', 'ten')}
        eights = {f'{tta}, here': (p, eight.probabilities(pixels, tta, 64, False)) for tta, p in floats.items()}
        if n and shutil.which('qemu-x86_64'): eights['none, without VNNI'] = floats['none'][:n], emulated(eight.path, pixels[:n], view_grids(eight.spec))
        for title, (a, b) in eights.items():
            same = (a.argmax(1) == b.argmax(1)).mean()
            print(f'{name}, {title}: {same:.1%} of {len(a)} answers equal, a probability differs by at most {np.abs(a - b).max():.3f}')
            if same < EQUAL: sys.exit(f'that is less than {EQUAL:.0%}')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('source', nargs='?', help='faces, as for fer_train')
    p.add_argument('--emulated', type=int, default=256, metavar='N', help='faces for the emulated processor; 0 for none')
    p.add_argument('--check', action='store_true', help='the packaged models alone; nothing is written')
    args = p.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    if args.check: return check(args.emulated)
    if not args.source: p.error('name the faces, or --check')
    faces = read_faces(args.source, progress=False)
    part, whole, eight = faces.usage('PublicTest'), SHIPPED['quick'].with_name('quick.onnx'), SHIPPED['quick'].with_name('quick_int8.onnx')
    floats = {tta: OnnxModel(whole).probabilities(part.pixels, tta, 64, False) for tta in ('none', 'ten')}
    out = {'as packaged': rows(eight, floats, part, args.emulated)}
    graph, spec = onnx.load(whole), OnnxModel(whole).spec
    with tempfile.TemporaryDirectory() as d:
        for name, how in WAYS.items():
            with _quiet(): other = _quantised(graph, spec, _calibration(faces), **how)
            onnx.helper.set_model_props(other, {q.key: q.value for q in graph.metadata_props})
            onnx.save(other, f'{d}/other.onnx')
            out[name] = rows(f'{d}/other.onnx', floats, part, 0 if 'activation_type' in how else args.emulated)      # not emulated: 256 faces took more than 200 s
    for name, said in out.items():
        for k, c in said.items():
            if isinstance(c, dict): print(f"{name}, {k} ({c['instruction_set']}): {c['equal_answers']:.1%} of {c['n']} answers equal, accuracy {c['accuracy_int8']:.3f} against {c['accuracy_float32']:.3f}")
    write_json(Path(__file__).parents[1]/'results/int8.json', dict(rows=out, source=args.source, fingerprint=part.fingerprint, **surroundings()))

if __name__ == '__main__': main()
