import Battery
import ChargeControl
import InverterDialects
import JKBMS
