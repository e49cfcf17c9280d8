"""Words that synthetic people, schools and streets are named with."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    """The words of a text; an underscore stands for a blank."""
    return tuple(word.replace("_", " ") for word in text.split())


FEMALE_NAMES = _words(
    "Amina Anaïs Aoife Beatriz Camila Chloe Dolores Emily Fatima Grace Hannah Ingrid Isabella "
    "Jasmine Joy Julie Katarzyna Keisha Leila Linh Lucía Mary María Mei Nayeli Noor Olga Olivia "
    "Priya Renée Ruth Sakura Shelby Siobhán Sofía Tamika Thảo Wanda Yara Zoë 美咲 陽菜"
)
MALE_NAMES = _words(
    "Aaron Abdul Andrzej Antonio Björn Carlos Darnell David DeShawn Diego Dmitri Emmanuel Ethan "
    "François Hamza Hiroshi Ian Jamal James José Juan Kai Kwame Liam Luis Łukasz Malik Mateo Minh "
    "Noah Omar Owen Pablo Rahul Raúl Samuel Tyrone Viktor William Yusuf 翔太 지훈"
)
LAST_NAMES = _words(
    "Abbott Acevedo Adeyemi Ahmed Álvarez Anderson Begay Bianchi Brown Castañeda Chen Cohen "
    "D'Angelo Davis Diallo Dyer Eriksson Fernández Flores García Gómez Grant Hassan Hernández "
    "Hughes Ivanova Jackson Johnson Jones Kealoha Kim Kowalski Lee López Martin Mbeki Miller Moore "
    "Müller Muñoz Nakamura Nguyễn Novák O'Brien O'Neill Okafor Ortiz Park Patel Peña Petrov Pham "
    "Quispe Ramírez Reyes Rivera Robinson Sánchez Singh Smith Smith-Jones Szymański Tanaka Taylor "
    "Thomas Torres Tsosie Vance Walker Washington Williams Wójcik Wright Yang Young Zhang 佐藤 "
    "de_la_Cruz Van_der_Berg St._John"
)
SUFFIXES = ("Jr", "II", "III")
NICKNAMES = ("Ace", "Bea", "Billy", "Dale", "Gwen", "Jo", "Kit", "Lou", "Max", "Ty", "Zuzu")

PLACES = _words(
    "Amber Birch Blue Bright Cedar Clear Copper Cotton Crystal Eagle East Elm Falcon Fox Golden "
    "Granite Green Hawk High Hill Iron Juniper Lake Live Lone Maple Mesa North Oak Pecan Pine Red "
    "River Rocky Sage Silver South Stone West Willow"
)
FEATURES = _words(
    "Bend Bluff Bridge Brook Canyon Creek Crossing Falls Field Ford Grove Haven Heights Hollow "
    "Meadow Mill Park Pass Point Prairie Ridge Springs Trail Valley View"
)
STREET_KINDS = ("Street", "Ave.", "Blvd.", "Drive", "Lane", "Parkway", "Way")
CITIES = (("Grand Bend", "73334"), ("Cañon Verde", "73336"), ("Lakeside", "73340"))
