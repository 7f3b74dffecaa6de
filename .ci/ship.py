"""Put a trained model into the package: half precision, its card in the metadata.

    python .ci/ship.py runs/quick quick
"""
import sys
from pathlib import Path
from fer_fastai.model import load_model, save_model

run, name = sys.argv[1:]
root = Path(__file__).parents[1]
out = root/'fer_fastai/models'/f'{name}.safetensors'
out.parent.mkdir(exist_ok=True)
model, contract = load_model(Path(run)/'model.safetensors')
save_model(model, out, contract, half=True, card=(root/'MODEL_CARD.md').read_text(encoding='utf-8'))
print(f'{out.relative_to(root)}: {out.stat().st_size / 2**20:.2f} MB')
