# PSS-Net, ResNet-50, variant C: pools for CPU latency, in microseconds.
# bash tools/dist_train.sh configs/pss_r50_imagenet_cpu_latency.py 8
_base_ = ['pss_r50_imagenet.py', '_base_/latency/r50.py']

# the table, its command and the levels: _base_/latency/r50.py
default_hooks = dict(
    pss_sampler=dict(
        resources=dict(latency_cpu=_base_.latency_cpu),
        budgets=dict(_delete_=True, latency_cpu=_base_.cpu_levels)))
