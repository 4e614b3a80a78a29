# PSS-Net, MobileNetV2, variant C: pools for CPU latency, in microseconds.
# The published levels; they fit the published table. For a table of your own:
# budgets=dict(..., latency_cpu=dict(pools=15)).
_base_ = ['pss_mbv2_imagenet.py']

# python tools/build_latency_table.py configs/pss_mbv2_imagenet.py \
#     --device cpu --out <this>
latency_table = 'data/latency_tables/mbv2_cpu.json'

default_hooks = dict(
    pss_sampler=dict(
        resources=dict(
            latency_cpu=dict(
                type='pss.Latency', table=latency_table, device='cpu')),
        budgets=dict(
            _delete_=True, latency_cpu=dict(start=13000, stop=27000,
                                            step=1000))))
