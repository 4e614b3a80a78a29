# PSS-Net, MobileNetV2, variant G: pools for GPU latency, in microseconds.
# The published levels; they fit the published table. For a table of your own:
# budgets=dict(..., latency_gpu=dict(pools=16)).
_base_ = ['pss_mbv2_imagenet.py']

# python tools/build_latency_table.py configs/pss_mbv2_imagenet.py \
#     --device cuda --out <this>
latency_table = 'data/latency_tables/mbv2_gpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_gpu=dict(
                type='pss.Latency', table=latency_table, device='cuda')),
        budgets=dict(
            _delete_=True, latency_gpu=dict(start=110, stop=260, step=10))))
