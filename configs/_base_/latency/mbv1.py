# Latency of MobileNetV1, in microseconds: tables, and the levels with a pool.
# The levels are the published ones and fit the published tables. For a table of
# your own: cpu_levels = dict(pools=20), gpu_levels = dict(pools=16).
# python tools/build_latency_table.py configs/pss_mbv1_imagenet.py \
#     --device {cpu,cuda} --out TABLE.json
latency_cpu = dict(
    type='pss.Latency', table='data/latency_tables/mbv1_cpu.json', device='cpu')
cpu_levels = dict(start=11000, stop=30000, step=1000)

latency_gpu = dict(
    type='pss.Latency',
    table='data/latency_tables/mbv1_gpu.json',
    device='cuda')
gpu_levels = dict(start=80, stop=230, step=10)
