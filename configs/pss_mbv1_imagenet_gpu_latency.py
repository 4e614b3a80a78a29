# PSS-Net, MobileNetV1, variant G: pools for GPU latency, in microseconds.
# The published levels; they fit the published table. For a table of your own:
# budgets=dict(..., latency_gpu=dict(pools=16)).
_base_ = ['pss_mbv1_imagenet.py']

# python tools/build_latency_table.py configs/pss_mbv1_imagenet.py \
#     --device cuda --out <this>
latency_table = 'data/latency_tables/mbv1_gpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_gpu=dict(
                type='pss.Latency', table=latency_table, device='cuda')),
        budgets=dict(
            _delete_=True, latency_gpu=dict(start=80, stop=230, step=10))))
