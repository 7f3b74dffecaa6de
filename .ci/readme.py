"Write README.md and MODEL_CARD.md from their notebooks, the kept outputs included; with --check, only say whether they are up to date."
import re, sys
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter
from traitlets.config import Config

root = Path(__file__).parents[1]
config = Config()
config.TagRemovePreprocessor.remove_input_tags = {'hide_input'}
config.TagRemovePreprocessor.remove_cell_tags = {'hide_cell'}
config.TagRemovePreprocessor.enabled = True

def page(notebook, target):
    "The files of a page: its text and its pictures."
    nb = nbformat.read(root/f'nbs/{notebook}.ipynb', as_version=4)
    text, resources = MarkdownExporter(config=config).from_notebook_node(nb, {'output_files_dir': 'nbs/images', 'unique_key': notebook})
    text = re.sub(r'\]\((?!https?:|#|nbs/)(\.\./)?', lambda m: '](' if m[1] else '](nbs/', text)        # links as seen from the root
    text = '\n'.join(line.rstrip() for line in text.splitlines()).strip() + '\n'
    while '\n\n\n' in text: text = text.replace('\n\n\n', '\n\n')
    return {root/target: text.encode()} | {root/k: v for k, v in resources['outputs'].items()}

files = page('index', 'README.md') | page('model_card', 'MODEL_CARD.md')
stale = [str(f.relative_to(root)) for f, data in files.items() if not f.exists() or f.read_bytes() != data]
if '--check' in sys.argv: sys.exit(f"not what the notebooks give: {', '.join(stale)}; run python .ci/readme.py" if stale else 0)
for old in (root/'nbs/images').glob('*_*.png'): old.unlink()
for f, data in files.items(): f.parent.mkdir(parents=True, exist_ok=True); f.write_bytes(data)
