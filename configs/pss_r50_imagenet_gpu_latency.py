# PSS-Net, ResNet-50, variant G: pools for GPU latency, in microseconds.
# No levels are published: 20 pools over what the table reaches.
_base_ = ['pss_r50_imagenet.py']

# python tools/build_latency_table.py configs/pss_r50_imagenet.py \
#     --device cuda --out <this> --max-blocks 3000
latency_table = 'data/latency_tables/r50_gpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_gpu=dict(
                type='pss.Latency', table=latency_table, device='cuda')),
        budgets=dict(_delete_=True, latency_gpu=dict(pools=20))))
