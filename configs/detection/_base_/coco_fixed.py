# One subnet as the backbone of a detector on COCO: mmdet's 1x schedule
_base_ = [
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'runtime.py',
]

train_cfg = dict(type='pss.SupernetTrainLoop')
