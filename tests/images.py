"""Images in the formats of Fashion-MNIST and ImageNet, and folders of them."""

import numpy as np
from PIL import Image


def write_images(folder, train=120, test=30):
    """Writes a folder in Fashion-MNIST's format: each class is a bright square
    at its own place, with noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for split, num in (('train', train), ('t10k', test)):
        labels = rng.permutation(np.arange(num, dtype=np.uint8) % 10)
        images = rng.integers(0, 100, (num, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels):
            row, column = 2 + label // 4 * 8, 2 + label % 4 * 6
            image[row:row + 6, column:column + 5] += 150
        write_idx(folder / f'{split}-images-idx3-ubyte', images)
        write_idx(folder / f'{split}-labels-idx1-ubyte', labels)


def write_idx(path, array):
    """Writes an array in the IDX format that (Fashion-)MNIST comes in."""
    header = bytes([0, 0, 8, array.ndim]) + b''.join(
        int(n).to_bytes(4, 'big') for n in array.shape)
    path.write_bytes(header + array.tobytes())


def write_imagenet(folder, fashion_mnist):
    """Writes a folder in ImageNet's layout, of JPEG files made from a folder in
    Fashion-MNIST's format: 24 training and 10 validation images of 3 sizes."""
    for split, source, num in (('train', 'train', 24), ('val', 't10k', 10)):
        images = (fashion_mnist /
                  f'{source}-images-idx3-ubyte').read_bytes()[16:]
        labels = (fashion_mnist /
                  f'{source}-labels-idx1-ubyte').read_bytes()[8:]
        lines = []
        for i in range(num):
            pixels = np.frombuffer(images[784 * i:784 * (i + 1)], np.uint8)
            image = Image.fromarray(pixels.reshape(28, 28)).convert('RGB')
            name = f'n{labels[i]:08d}/{split}_{i}.JPEG'
            path = folder / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image.resize([(320, 256), (256, 300),
                          (500, 375)][i % 3]).save(path, 'JPEG')
            lines.append(f'{name} {labels[i]}')
        (folder / 'meta').mkdir(exist_ok=True)
        (folder / 'meta' / f'{split}.txt').write_text('\n'.join(lines))


def write_folder(folder, classes=('ant', 'bee', 'cow'), num=10, size=28):
    """Writes a folder with one folder of PNG files for each class: squares at
    places of their own, with noise."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(num):
            pixels = rng.integers(0, 100, (size, size, 3), dtype=np.uint8)
            pixels[2 + 8 * label:8 + 8 * label, 2:8] += 150
            Image.fromarray(pixels).save(folder / name / f'{i:02d}.png')
    return folder
