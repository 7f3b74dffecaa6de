"""Write README.md and MODEL_CARD.md from their notebooks, and what every notebook says of the repository that settings.ini names.

    python .ci/readme.py            # the two pages, badges, and the first cells of tutorials and experiments
    python .ci/readme.py --check    # only say what is out of step; README has at most 1,300 words
"""
import hashlib, json, re, sys
from configparser import ConfigParser
import nbformat
from nbconvert import MarkdownExporter
from notebooks import ROOT, notebooks, read, text
from traitlets.config import Config

MOST_WORDS = 1300
ini = ConfigParser(delimiters=['='])
ini.read(ROOT/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
BADGE = re.compile(r'\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)')
config = Config()
config.TagRemovePreprocessor.remove_input_tags = {'hide_input'}
config.TagRemovePreprocessor.remove_cell_tags = {'hide_cell'}
config.TagRemovePreprocessor.enabled = True

def badge(path):
    "The link that opens a notebook in Colab."
    place = f"{cfg['git_url'].removeprefix('https://')}/blob/{cfg['branch']}/{path.relative_to(ROOT).as_posix()}"
    there = place.replace('github.com/', 'github/', 1)
    image = 'https://colab.research.google.com/assets/colab-badge.svg'
    return f'[![Open in Colab]({image})](https://colab.research.google.com/{there})'

def trains(path):
    "Does that notebook train, on a source that its reader may change?"
    return path.stem == 'emotions'

def install(path):
    "A notebook's first cell: it installs and fetches in Colab, and does nothing elsewhere."
    url, folder = cfg['git_url'], path.parent.relative_to(ROOT).as_posix()
    gpu = '# To train faster there, choose a GPU before: Runtime → Change runtime type → T4 GPU\n' if trains(path) else ''
    return f'''# In Colab this installs the package and fetches what the notebook reads; elsewhere it does nothing.
{gpu}if 'google.colab' in str(get_ipython()):
    get_ipython().system("pip install -q 'fer_fastai[imagenet,onnx] @ git+{url}'")
    get_ipython().system('git clone -q --depth 1 {url}')
    get_ipython().run_line_magic('cd', '{cfg['repo']}/{folder}')'''

UPLOAD = '''upload = False      # True in Colab: choose your fer2013.csv, then write 'fer2013.csv' where a source is named
if upload:
    from google.colab import files
    files.upload()'''

def cell(source, tag, path):
    "A code cell that this script owns, known by its tag."
    name = hashlib.sha256(f'{tag} {path.relative_to(ROOT)}'.encode()).hexdigest()[:8]
    meta = dict(tags=[tag])
    return dict(cell_type='code', execution_count=None, id=name, metadata=meta, outputs=[], source=source.splitlines(True))

def with_repository(path):
    "A notebook with its badge, and for tutorials and experiments with the first cells; pages have neither."
    nb = read(path)
    title = re.sub(r'\n*' + BADGE.pattern + r'\n*', '\n\n', text(nb['cells'][0])).strip('\n')
    head = re.match(r'(# [^\n]*\n+(?:>[^\n]*\n*)*)', title + '\n')[1].rstrip('\n')      # nbdev shows no more than this of the cell
    nb['cells'][0]['source'] = head.splitlines(True)
    link = '' if path.parent.name == 'pages' else badge(path)      # they load records, which Colab doesn't have
    rest = [markdown(part, kind, path) for kind, part in (('badge', link), ('intro', title[len(head):].strip('\n'))) if part]
    own = lambda c: {'colab', 'upload'} & {*c['metadata'].get('tags', [])} or BADGE.fullmatch(text(c).strip())
    if path.parent.name in ('tutorials', 'experiments'):
        rest += [cell(install(path), 'colab', path)] + [cell(UPLOAD, 'upload', path)] * trains(path)
    nb['cells'][1:] = placed(rest, [c for c in nb['cells'][1:] if not own(c)])
    return nb

def markdown(source, kind, path):
    "A Markdown cell that this script owns."
    name = hashlib.sha256(f'{kind} {path.relative_to(ROOT)}'.encode()).hexdigest()[:8]
    return dict(cell_type='markdown', id=name, metadata={}, source=source.splitlines(True))

def placed(ours, others):
    "The badge first, then what the author says before any code, then the cells for Colab."
    said = next((i for i, c in enumerate(others) if c['cell_type'] == 'code'), len(others))
    code = [c for c in ours if c['cell_type'] == 'code']
    words = [c for c in ours if c not in code]
    return [*words, *others[:said], *code, *others[said:]] if code else [*words, *others]

def page(notebook, target):
    "The files of a page: its text and its images."
    nb = nbformat.read(ROOT/f'nbs/{notebook}.ipynb', as_version=4)
    nb.metadata['language_info'] = {'name': 'python'}
    for c in nb.cells:
        if c.source.startswith('#| echo: false'): c.metadata['tags'] = sorted({*c.metadata.get('tags', []), 'hide_input'})
    where = {'output_files_dir': 'nbs/images', 'unique_key': notebook}
    said, resources = MarkdownExporter(config=config).from_notebook_node(nb, where)
    said = re.sub(r'\]\((?!https?:|#|nbs/)(\.\./)?', lambda m: '](' if m[1] else '](nbs/', said)      # as seen from the root
    said = re.sub(r'(?m)^#\| .*\n', '', said)
    said = '\n'.join(line.rstrip() for line in said.splitlines()).strip() + '\n'
    said = re.sub(r'\n{3,}', '\n\n', said)
    return {ROOT/target: said.encode()} | {ROOT/k: v for k, v in resources['outputs'].items()}

def main():
    files = {}
    for path in notebooks():
        if path.name in ('index.ipynb', 'model_card.ipynb'): continue
        said = json.dumps(with_repository(path), sort_keys=True, indent=1, ensure_ascii=False) + '\n'
        if json.loads(said) != read(path): files[path] = said.encode()
    index = ROOT/'nbs/index.ipynb'
    named = re.sub(BADGE, badge(ROOT/'nbs/tutorials/emotions.ipynb'), index.read_text(encoding='utf-8'))
    if named != index.read_text(encoding='utf-8'): files[index] = named.encode()
    cite = ROOT/'CITATION.cff'
    said = re.sub(r'(?m)^repository-code: .*$', f"repository-code: {cfg['git_url']}", cite.read_text(encoding='utf-8'))
    said = re.sub(r'(?m)^version: .*$', f"version: {cfg['version']}", said)
    if said != cite.read_text(encoding='utf-8'): files[cite] = said.encode()
    if '--check' not in sys.argv: put(files)
    files |= page('index', 'README.md') | page('model_card', 'MODEL_CARD.md')
    words = len(files[ROOT/'README.md'].split())
    stale = [str(f.relative_to(ROOT)) for f, data in files.items() if not f.exists() or f.read_bytes() != data]
    if '--check' in sys.argv:
        if words > MOST_WORDS: sys.exit(f'README.md has {words} words, {MOST_WORDS} are the limit')
        sys.exit(f"out of step: {', '.join(stale)}; run python .ci/readme.py" if stale else 0)
    for old in (ROOT/'nbs/images').glob('*_*.png'): old.unlink()
    put(files)
    print(f'README.md: {words} words')

def put(files):
    "Write files by path."
    for f, data in files.items():
        f.parent.mkdir(parents=True, exist_ok=True)
        f.write_bytes(data)

if __name__ == '__main__': main()
