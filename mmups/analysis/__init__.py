"""What an upsampler costs: parameters, multiply-adds, and the papers' tables of them."""
from .complexity import Cost, added_cost, count_macs
from .paper_tables import HOSTS, Host, PaperSite

__all__ = ['Cost', 'added_cost', 'count_macs', 'HOSTS', 'Host', 'PaperSite']
