# PSS-Net, MobileNetV1, variant M: pools for FLOPs, CPU latency and GPU latency at once.
_base_ = ['pss_mbv1_imagenet.py']

# see pss_mbv1_imagenet_cpu_latency.py and pss_mbv1_imagenet_gpu_latency.py
cpu_latency_table = 'data/latency_tables/mbv1_cpu.json'
gpu_latency_table = 'data/latency_tables/mbv1_gpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency', table=cpu_latency_table, device='cpu'),
            latency_gpu=dict(
                type='pss.Latency', table=gpu_latency_table, device='cuda')),
        budgets=dict(
            latency_cpu=dict(start=11000, stop=30000, step=1000),
            latency_gpu=dict(start=80, stop=230, step=10))))
