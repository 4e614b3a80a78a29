def check_testing(testing, where, trust=()):
    pass


def testing_of(dataloader, evaluator):
    return dict(dataloader=dataloader, evaluator=evaluator)
