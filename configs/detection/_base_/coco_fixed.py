# mmdet's 1x schedule on COCO, for detectors whose backbone is one subnet
_base_ = [
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'runtime.py',
]

train_cfg = dict(type='pss.SupernetTrainLoop')
