# Latency of ResNet-50, in microseconds: tables, and the levels with a pool.
# No levels are published: 20 pools over what each table reaches.
# python tools/build_latency_table.py configs/pss_r50_imagenet.py \
#     --device {cpu,cuda} --out TABLE.json --max-blocks 3000
latency_cpu = dict(
    type='pss.Latency', table='data/latency_tables/r50_cpu.json', device='cpu')
cpu_levels = dict(pools=20)

latency_gpu = dict(
    type='pss.Latency', table='data/latency_tables/r50_gpu.json', device='cuda')
gpu_levels = dict(pools=20)
