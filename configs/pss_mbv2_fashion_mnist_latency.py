# PSS-Net, MobileNetV2 on Fashion-MNIST: pools for FLOPs and CPU latency.
# python tools/train.py configs/pss_mbv2_fashion_mnist_latency.py
# `make demo-latency` measures the table and trains.
_base_ = ['pss_mbv2_fashion_mnist.py']

# python tools/build_latency_table.py configs/pss_mbv2_fashion_mnist_latency.py \
#     --batch-size 32 --out <this>
# 32 images at a time: a single one of 28 x 28 takes hardly less in a subnet
latency_table = 'work_dirs/demo_latency/latency_cpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency',
                table=latency_table,
                device='cpu',
                batch_size=32)),
        budgets=dict(
            flops=dict(start=10.5, stop=18.5, step=2),
            latency_cpu=dict(pools=6))))
