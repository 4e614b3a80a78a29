# PSS-Net, ResNet-50, variant C: pools for CPU latency, in microseconds.
# No levels are published: 20 pools over what the table reaches.
_base_ = ['pss_r50_imagenet.py']

# python tools/build_latency_table.py configs/pss_r50_imagenet.py \
#     --device cpu --out <this> --max-blocks 3000
latency_table = 'data/latency_tables/r50_cpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency', table=latency_table, device='cpu')),
        budgets=dict(_delete_=True, latency_cpu=dict(pools=20))))
