"""Put a trained model into the package: half precision with its card in the metadata, and as ONNX in 32 and in 8 bits, checked on real faces.

    python .ci/ship.py runs/quick quick data/fer2013.csv
"""
import sys
from pathlib import Path
from fer_fastai.core import write_json
from fer_fastai.export import to_onnx
from fer_fastai.model import load_model, save_model
from fer_fastai.sources import read_faces

run, name, source = sys.argv[1:]
root = Path(__file__).parents[1]
models, card = root/'fer_fastai/models', (root/'MODEL_CARD.md').read_text(encoding='utf-8')
models.mkdir(exist_ok=True)
model, contract = load_model(Path(run)/'model.safetensors')
save_model(model, models/f'{name}.safetensors', contract, half=True, card=card)
faces = read_faces(source)
to_onnx(models/f'{name}.safetensors', models/f'{name}.onnx', faces, card=card)
checked = {tta: to_onnx(models/f'{name}.safetensors', models/f'{name}_int8.onnx', faces, int8=True, tta=tta, card=card) for tta in ('none', contract['tta'])}      # the last one stays
write_json(root/'results'/f'{name}_int8.json', checked)
for f in sorted(models.glob(f'{name}*')): print(f'{f.relative_to(root)}: {f.stat().st_size / 2**20:.2f} MB')
