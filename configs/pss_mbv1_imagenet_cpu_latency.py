# PSS-Net, MobileNetV1, variant C: pools for CPU latency, in microseconds.
# The published levels; they fit the published table. For a table of your own:
# budgets=dict(..., latency_cpu=dict(pools=20)).
_base_ = ['pss_mbv1_imagenet.py']

# python tools/build_latency_table.py configs/pss_mbv1_imagenet.py \
#     --device cpu --out <this>
latency_table = 'data/latency_tables/mbv1_cpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency', table=latency_table, device='cpu')),
        budgets=dict(
            _delete_=True, latency_cpu=dict(start=11000, stop=30000,
                                            step=1000))))
