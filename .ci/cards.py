"""The model card inside the model files that come with the package.

    python .ci/cards.py            # put MODEL_CARD.md into them
    python .ci/cards.py --check    # only say which hold another one
"""
import sys
import onnx
from fer_fastai.files import atomic
from fer_fastai.models.files import open_weights, write_weights
from fer_fastai.models.locate import SHIPPED
from notebooks import ROOT

CARD = ROOT/'MODEL_CARD.md'

def card_in(path):
    "The card in a model file; '' where there is none."
    if path.suffix == '.safetensors': return open_weights(path)[1].get('card', '')
    return {p.key: p.value for p in onnx.load(path).metadata_props}.get('card', '')

def with_card(path, card):
    "Put the card into a model file's metadata."
    if path.suffix == '.safetensors':
        state, meta = open_weights(path)
        return write_weights(state, path, meta | dict(card=card))
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {p.key: p.value for p in model.metadata_props} | dict(card=card))
    with atomic(path) as tmp: onnx.save(model, str(tmp))

def stale():
    "The packaged model files that hold another card."
    card = CARD.read_text(encoding='utf-8')
    return [p for p in sorted(SHIPPED['quick'].parent.iterdir()) if p.suffix in ('.onnx', '.safetensors') and card_in(p) != card]

def renew():
    "Put the card into these files."
    for p in stale(): with_card(p, CARD.read_text(encoding='utf-8'))

def main():
    if '--check' not in sys.argv: return renew()
    if others := stale(): sys.exit(f"another card in {', '.join(p.name for p in others)}; run python .ci/cards.py")

if __name__ == '__main__': main()
