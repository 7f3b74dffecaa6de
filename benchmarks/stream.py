"""A stream watched for ten minutes: does memory stay flat, does it come back after a break, how many images are dropped?

    python benchmarks/stream.py                    # eleven minutes; writes results/stream.json

A server on this machine sends a film of drawn and of real faces (portraits with a free licence that come with scikit-image and Matplotlib)
as motion JPEG over HTTP, 25 images a second, without end. After four minutes it is stopped for thirty seconds.
"""
import argparse, contextlib, http.server, threading, time
from pathlib import Path
import cv2, numpy as np, psutil, skimage.data
from matplotlib.cbook import get_sample_data
from PIL import Image
from fer_fastai.core import EMOTIONS
from fer_fastai.data.detection import FaceDetector
from fer_fastai.data.drawn import draw_face
from fer_fastai.evaluation.records import surroundings
from fer_fastai.files import write_json
from fer_fastai.inference.frames import frames
from fer_fastai.inference.predictor import Predictor
from fer_fastai.inference.video import follow

def film():
    "Twenty seconds of faces that move, as JPEG bytes."
    rng, out = np.random.default_rng(0), []
    hopper = Image.open(get_sample_data('grace_hopper.jpg')).convert('RGB').resize((205, 240))
    woman = Image.fromarray(skimage.data.astronaut()).resize((240, 240))
    drawn = {e: Image.fromarray(draw_face(e, rng)).convert('RGB').resize((110, 110)) for e in EMOTIONS}
    for i in range(500):
        scene = Image.new('RGB', (960, 540), (70, 80, 70))
        part = abs(i / 250 - 1)
        scene.paste(hopper, (int(20 + 500 * part), 20))
        scene.paste(woman, (int(680 - 500 * part), 290))
        scene.paste(drawn[EMOTIONS[i // 72]], (800, 60))
        out.append(cv2.imencode('.jpg', np.asarray(scene)[..., ::-1])[1].tobytes())
    return out

class Camera(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.stopped:
                data = self.server.film[int(time.monotonic() * 25) % len(self.server.film)]
                self.server.sent += 1
                head = f'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n'
                self.wfile.write(head.encode() + data + b'\r\n')
                time.sleep(.04)

def serve(film, port=0):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Camera)
    server.film, server.stopped, server.sent, server.daemon_threads = film, False, 0, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def stop(server):
    server.stopped = True
    server.shutdown()
    server.server_close()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--minutes', type=float, default=10)
    args = p.parse_args()
    images, servers = film(), []
    servers.append(serve(images))
    port, seconds = servers[0].server_port, 60 * args.minutes
    threading.Timer(.4 * seconds, stop, servers).start()
    threading.Timer(.4 * seconds + .05 * seconds, lambda: servers.append(serve(images, port))).start()
    process, memory, seen, looked, longest, before = psutil.Process(), [], set(), 0, 0., 0.
    predictor = Predictor(tta='none', detector=FaceDetector(windows=False))
    with frames(f'http://127.0.0.1:{port}/') as (live, fps, _):
        for t, _, faces in follow(live, predictor):
            looked, longest, before = looked + 1, max(longest, t - before), t
            seen |= {f.id for f in faces}
            if t > 5 * (len(memory) + 1): memory.append([round(t, 1), process.memory_info().rss])
            if t > seconds: break
        dropped, breaks = live.dropped, live.breaks
    stop(servers[-1])
    half = [np.mean([m for _, m in part]) for part in (memory[6:len(memory) // 2], memory[len(memory) // 2:])]
    said = dict(
        seconds=seconds, stopped_for=.05 * seconds, sent=sum(s.sent for s in servers), looked_at=looked, dropped=dropped, breaks=breaks,
        longest_gap=longest, tracks=len(seen), memory_first_half=half[0], memory_second_half=half[1],
        memory_most=max(m for _, m in memory), memory=memory)
    write_json(Path(__file__).parents[1]/'results/stream.json', said | surroundings())

if __name__ == '__main__': main()
