# PSS-Net, ResNet-50, variant M: pools for FLOPs, CPU latency and GPU latency at once.
_base_ = ['pss_r50_imagenet.py']

# see pss_r50_imagenet_cpu_latency.py and pss_r50_imagenet_gpu_latency.py
cpu_latency_table = 'data/latency_tables/r50_cpu.json'
gpu_latency_table = 'data/latency_tables/r50_gpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency', table=cpu_latency_table, device='cpu'),
            latency_gpu=dict(
                type='pss.Latency', table=gpu_latency_table, device='cuda')),
        budgets=dict(latency_cpu=dict(pools=20), latency_gpu=dict(pools=20))))
