-- description: DescriptorId is there and occurs once.
-- severity: error
-- owner: data-engineering
-- returns: rows
-- show: descriptor_id, row_count
select
    descriptor_id,
    count(*) as row_count
from descriptors
group by descriptor_id
having descriptor_id is null or count(*) > 1
