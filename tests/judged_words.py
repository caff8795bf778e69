"""What words mean in a sentence about a room, written down before the shipped table of near words was made.

A line gives a word and what it may be read as; "-": it may, or has to, stay unknown. Every other line was looked at
while it was settled how the table is made; the rest measured it, before words were put right by hand.
"""

_LINES = """
crimson red|dark red
azure blue|light blue|sky blue|sky
maroon red|dark red|brown|purple
scarlet red
gold yellow|orange|tan|-
silver grey|light grey|gray|white|-
indigo blue|purple|navy blue|navy|violet
lavender purple|violet|lilac
magenta pink|purple|violet|red
cyan turquoise|teal|blue|light blue
khaki beige|tan|green|sage green|sage|brown|sand
olive green|dark green|sage green|sage
emerald green|dark green
burgundy red|dark red|purple
mauve purple|lilac|violet|pink
ochre orange|yellow|brown|terracotta|tan
amber orange|yellow|brown
coral pink|orange
ebony black|dark|walnut|dark oak
jade green|sage green|teal|turquoise
peach orange|pink|cream|beige|-
mustard yellow|orange|-
aqua turquoise|teal|blue|light blue
ruby red|-
russet brown|red|orange|terracotta
reddish red
bluish blue
golden yellow|orange|tan
mahogany walnut|cherry|wood|wooden|hardwood|dark oak
timber wood|wooden|planks|plank|hardwood
maple birch|oak|cherry|walnut|wood
cedar pine|wood|oak
teak walnut|oak|wood|hardwood
ash birch|oak|grey|wood|-
bamboo wood|wooden|pine|birch|-
rosewood walnut|cherry|wood|hardwood
fir pine|wood|-
elm oak|birch|walnut|wood|-
beech birch|oak|wood
plywood wood|wooden|hardwood|plank|planks|birch|panelling
lumber wood|wooden|planks|plank|hardwood
granite marble|terrazzo|concrete
limestone marble|concrete|plaster|-
slate grey|dark grey|tiles|tile|marble|concrete|charcoal|-
ceramic tiles|tile|tiled|terracotta
porcelain tiles|tile|white|-
stucco plaster
gypsum plaster
mortar cement|concrete|plaster|brick|bricks|-
linoleum tiles|carpet|floor|-
laminate parquet|hardwood|floorboards|wood|panelling|-
mosaic tiles|tile|tiled|patterned|-
cobblestone brick|bricks|tiles|concrete|-
velvet -
suede leather
cotton -
cupboard wardrobe|closet|sideboard|kitchen counter
loveseat sofa|couch|settee|armchair
ottoman pouf
bureau desk|sideboard|chest of drawers|drawers
dresser chest of drawers|wardrobe|sideboard|drawers
nightstand bedside table
stool pouf|chair|bench|-
recliner armchair|chair
shelf bookshelf|bookcase
chandelier lamp|pendant lamp|ceiling lamp
lantern lamp|-
refrigerator fridge
freezer fridge
television tv
mattress bed|-
bunk bed|single bed
quilt duvet
blanket duvet|rug
pillow duvet|bed|-
poster picture|painting|photo
portrait picture|painting|photo
photograph picture|photo
blinds curtains|drapes
tapestry rug|curtains|wallpaper|carpet|drapes|picture|-
shrub plant
flower plant|-
fern plant
parlor living room|lounge|sitting room
den study|lounge|living room|-
condo apartment
cottage house|home|farmhouse
villa house|home
mansion house|home
kitchenette kitchen
bathroom -
garage -
gloomy dim|dark
comfy cosy|cozy|snug
spacious airy|-
vintage classic|traditional|rustic|-
antique classic|traditional|rustic|-
posh elegant
luxurious elegant|-
stylish elegant|modern|contemporary|-
luminous bright|lit|-
dusk evening
twilight evening|dim
carpets carpet
sofas sofa|couch
shelves bookshelf|bookcase
curtain curtains|drapes
wardrobes wardrobe|closet
mirror -
window -
door -
sink -
pavement concrete|tiles|brick|bricks|-
elephant -
love -
president -
quickly -
not -
no -
without -
never -
minus -
football -
river -
happy -
dog -
guitar -
because -
three -
mother -
democracy -
truck -
angry -
knife -
music -
bicycle -
doctor -
under -
except -
blurry -
ugly -
bank -
spring -
coloured -
banana yellow|-
chocolate brown|-
"""
JUDGED = {word: set(read.split("|")) for word, read in (line.split(maxsplit=1) for line in _LINES.strip().split("\n"))}
