# PSS-Net, MobileNetV2, variant M: pools for FLOPs, CPU latency and GPU latency at once.
_base_ = ['pss_mbv2_imagenet.py']

# see pss_mbv2_imagenet_cpu_latency.py and pss_mbv2_imagenet_gpu_latency.py
cpu_latency_table = 'data/latency_tables/mbv2_cpu.json'
gpu_latency_table = 'data/latency_tables/mbv2_gpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency', table=cpu_latency_table, device='cpu'),
            latency_gpu=dict(
                type='pss.Latency', table=gpu_latency_table, device='cuda')),
        budgets=dict(
            latency_cpu=dict(start=13000, stop=27000, step=1000),
            latency_gpu=dict(start=110, stop=260, step=10))))
