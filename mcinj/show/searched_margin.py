def searched_margin_part(*a): raise NotImplementedError
def searched_margin_summary(*a): raise NotImplementedError
