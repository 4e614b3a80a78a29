def test_fashion_mnist_converter(call, tmp_path, tiny_fashion_mnist):
    """Oracle: which files are missing, and where to put them; incomplete files
    are refused."""
    code, out = call('dataset_converters/fashion_mnist.py', '--out',
                     tmp_path / 'out', '--source', tiny_fashion_mnist)
    line = out.strip().splitlines()[-1]
    assert code == 2 and 'train-images-idx3-ubyte' in line
    assert '--source FOLDER' in line
    assert not (tmp_path / 'out').exists()
