"""What 8 bits cost, here and on a processor without VNNI: the packaged model, and other ways to quantise the same network.

    python benchmarks/int8.py data/fer2013.csv                # writes results/int8.json
    python benchmarks/int8.py demo:280 --check                # the packaged model alone; fails where it answers otherwise than in floats

A processor without VNNI is emulated by qemu-x86_64 (Debian: qemu-user, from 7.2 on), on the first --emulated faces and one view;
where there is none, that part is left out. Speed is of one thread.
"""
import argparse, os, shutil, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np, onnx
from onnxruntime.quantization import QuantType
from fer_fastai.models.locate import SHIPPED
from fer_fastai.data.views import view_grids
from fer_fastai.core import FerError
from fer_fastai.files import write_json
from fer_fastai.inference.onnx import _calibration, _quantised, _quiet, int8_cost, largest_pair
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

def rows(path, floats, part, n, strict=False):
    "What a file costs with one view and with ten crops, here, and without VNNI."
    model, said = OnnxModel(path), {}
    for tta in floats:
        start = time.perf_counter()
        eights = model.probabilities(part.pixels, tta, 64, False)
        speed = dict(faces_per_second=round(len(part) / (time.perf_counter() - start)))
        said[f'{tta}, here'] = speed | int8_cost(floats[tta], eights, part.labels, part.vocab, strict)
    if n and shutil.which('qemu-x86_64'):
        eights = emulated(path, part.pixels[:n], view_grids(model.spec))
        said['none, without VNNI'] = int8_cost(floats['none'][:n], eights, part.labels[:n], part.vocab, strict) | dict(instruction_set=WITHOUT_VNNI)
    return said | dict(largest_pair=largest_pair(onnx.load(path)))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('source', help='faces, as for fer_train')
    p.add_argument('--emulated', type=int, default=256, metavar='N', help='faces for the emulated processor; 0 for none')
    p.add_argument('--check', action='store_true', help='the packaged model alone; nothing is written')
    args = p.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    faces = read_faces(args.source, progress=False)
    part, whole, eight = faces.usage('PublicTest'), SHIPPED['quick'].with_name('quick.onnx'), SHIPPED['quick'].with_name('quick_int8.onnx')
    floats = {tta: OnnxModel(whole).probabilities(part.pixels, tta, 64, False) for tta in ('none', 'ten')}
    try: out = {'as packaged': rows(eight, floats, part, args.emulated, args.check)}
    except FerError as e: sys.exit(str(e))
    graph, spec = onnx.load(whole), OnnxModel(whole).spec
    with tempfile.TemporaryDirectory() as d:
        for name, how in () if args.check else WAYS.items():
            with _quiet(): other = _quantised(graph, spec, _calibration(faces), **how)
            onnx.helper.set_model_props(other, {q.key: q.value for q in graph.metadata_props})
            onnx.save(other, f'{d}/other.onnx')
            out[name] = rows(f'{d}/other.onnx', floats, part, 0 if 'activation_type' in how else args.emulated)      # not emulated: 256 faces took more than 200 s
    for name, said in out.items():
        for k, c in said.items():
            if isinstance(c, dict): print(f"{name}, {k} ({c['instruction_set']}): {c['equal_answers']:.1%} of {c['n']} answers equal, accuracy {c['accuracy_int8']:.3f} against {c['accuracy_float32']:.3f}")
    if not args.check: write_json(Path(__file__).parents[1]/'results/int8.json', dict(rows=out, source=args.source, fingerprint=part.fingerprint, **surroundings()))

if __name__ == '__main__': main()
